"""The scoreboard and answers from the web in the browser; the model's words are scripted, all else is the product."""

from __future__ import annotations

import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.test_ui import HANDBOOK, MANUAL, STATIC
from tests.e2e.workbench import Watch, browser_at, chromium, run_product, run_scripted_model

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]

LEAVE = "How much holiday does a worker get in a year?"
WARRANTY = "星河路由器买来后坏了，多长时间之内免费修？"
PARKING = "Where can employees leave their car?"
REPLIES = [
    (["that the text answers", "annual leave"], f"Question: {LEAVE}\nAnswer: 25 days"),
    (["答案要在资料里", "三年保修"], f"问题：{WARRANTY}\n答案：三年"),
    (["might ask next", "annual leave"], PARKING),
    (["接下来可能会问", "三年保修"], "这段资料讲了什么？"),  # dropped: it speaks of the text
    (["directly and briefly", LEAVE], "25 days."),
    (["直接、简短", WARRANTY], "三年。"),
    (["directly and briefly", PARKING], "The documents do not say."),
    (["directly and briefly", "light the lighthouse"], "Agnes Moore lit it for the first time in 1874."),
]
PAGE = (
    "<html><head><title>Harbour</title></head><body><nav>Home Tickets About</nav><article><h1>The harbour lighthouse</h1>"
    "<p>The lighthouse of Port Ellery was lit for the first time in 1874 by the keeper Agnes Moore.</p>"
    "<p>Visitors may climb its 143 steps on Sundays, when the lamp room is open to everyone.</p></article></body></html>"
)


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The folder's pages on loopback."""
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("board")
    (folder / "pages").mkdir()
    (folder / "pages" / "lighthouse.html").write_text(PAGE, encoding="utf-8")
    with (
        site(folder / "pages") as pages,
        run_scripted_model(folder, replies=REPLIES) as model,
        run_product(
            folder / "home", base_url=model, embedder="none", web_search="site", web_folder=str(folder / "pages"),
            web_url=pages, web_private="true",
        ) as url,
    ):  # fmt: skip
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_at() as running:
        yield running


@pytest.fixture
def page(browser: Browser, product: str) -> Iterator[Page]:
    watching = Watch(browser, product)
    yield watching.page
    watching.close()


@pytest.fixture(scope="module")
def company(browser: Browser, product: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a knowledge base with the two documents."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    (folder / "手册.md").write_text(MANUAL, encoding="utf-8")
    watching = Watch(browser, product)
    page = watching.page
    page.goto("/knowledge")
    page.get_by_test_id("new-kb-files").set_input_files(sorted(folder.iterdir()))
    page.get_by_label("Name", exact=True).fill("Company")
    page.get_by_role("button", name="Create", exact=True).click()
    for name in ("handbook.md", "手册.md"):
        expect(page.locator("li[data-status=ready]", has_text=name)).to_be_visible(timeout=60_000)
    address = page.url.split("?")[0]
    watching.close()
    return address


def asked(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name=re.compile("^Ask"))
    field.fill(text)
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    field.press("Enter")


def test_questions_are_proposed_reviewed_imported_and_two_configurations_compared(
    page: Page, company: str, tmp_path: Path
) -> None:
    page.goto(company)
    page.get_by_role("tab", name="Scoreboard").click()
    board = page.get_by_test_id("scoreboard")
    expect(board.get_by_role("heading", name="How good are the answers?")).to_be_visible()
    expect(board.get_by_role("button", name="Measure", exact=True)).to_be_disabled()  # there is nothing to ask

    board.get_by_role("button", name="Propose questions").click()
    questions = board.get_by_role("region", name="Questions", exact=True)
    for question in (LEAVE, WARRANTY, PARKING):
        row = questions.locator("li", has_text=question)
        expect(row).to_contain_text("to review", timeout=60_000)
    expect(questions.locator("li", has_text=PARKING)).to_contain_text("not in the documents")
    expect(questions.locator("li", has_text=LEAVE)).to_contain_text("Every employee has 25 days")  # its evidence
    expect(questions.locator("li")).to_have_count(3)  # what speaks of “the text” is no question

    questions.locator("li", has_text=PARKING).get_by_role("button", name="Accept", exact=True).click()
    expect(questions.locator("li", has_text=PARKING)).not_to_contain_text("to review")
    row = questions.locator("li", has_text=LEAVE)
    row.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Answer").fill("25 days\n25")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("25 days | 25")
    expect(row).not_to_contain_text("to review")  # who edits it has read it
    questions.get_by_role("button", name="Accept all").click()
    expect(questions).to_contain_text("3 accepted, 0 to review")

    own = {"question": "When may one feed the office cat?", "answer": "at noon"}
    (tmp_path / "own.jsonl").write_text(json.dumps(own), encoding="utf-8")
    page.get_by_test_id("import-questions").set_input_files(tmp_path / "own.jsonl")
    expect(questions.locator("li", has_text="office cat")).to_contain_text("at noon")

    board.get_by_role("textbox", name="Compare with").fill("passages=1")
    board.get_by_role("button", name="Measure", exact=True).click()
    history = board.get_by_role("region", name="History")
    expect(history.locator("li", has_text="passages=1")).to_contain_text("MRR", timeout=120_000)
    expect(history.locator("li", has_text="as it is")).to_contain_text("MRR")
    history.get_by_role("button", name="Show side by side with").first.click()
    figures = board.get_by_role("table")
    expect(figures.get_by_role("columnheader")).to_contain_text(["Figure", "as it is", "Difference (95 %)"])
    expect(figures.get_by_role("columnheader", name="passages=1")).to_be_visible()
    expect(figures.get_by_role("row", name=re.compile("unanswerable, refused"))).to_contain_text("1.000")
    failed = board.get_by_role("region", name="Questions that failed").locator("li", has_text="office cat")
    expect(failed.get_by_text("not in the index")).to_have_count(2)  # one for each run

    compared = page.url
    page.reload()  # what is compared can be shared
    expect(page.get_by_role("columnheader", name="passages=1")).to_be_visible()
    assert page.url == compared
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0, f"the page scrolls sideways by {wide} pixels"


def test_a_configuration_that_is_wrong_is_refused_with_the_nearest_key(
    browser: Browser, product: str, company: str
) -> None:
    watching = Watch(browser, product)
    page = watching.page
    page.goto(f"{company}?tab=board")
    page.get_by_role("textbox", name="Compare with").fill("pasages=1")
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.get_by_role("status").get_by_role("button", name=re.compile("pasages"))).to_be_visible()
    watching.errors = [error for error in watching.errors if "40" not in error]  # the browser logs the refusal
    watching.close()


def test_a_question_is_answered_from_the_web_and_cites_the_page(page: Page, company: str) -> None:
    page.goto(f"{company}?tab=ask")
    switch = page.get_by_role("button", name="Answer from the web")
    expect(switch).to_have_attribute("aria-pressed", "false")
    asked(page, "Who was the first to light the lighthouse of Port Ellery?")
    expect(page.locator("article").nth(0)).to_contain_text("The documents do not say", timeout=60_000)

    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("textbox", name="Ask the web…")).to_be_visible()
    asked(page, "Who was the first to light the lighthouse of Port Ellery?")
    answer = page.locator("article").nth(1)
    expect(answer).to_contain_text("Agnes Moore", timeout=60_000)
    expect(answer.get_by_role("heading", name="Sources")).to_be_visible()
    source = answer.locator("li a").first
    expect(source).to_have_attribute("href", re.compile(r"^http://127\.0\.0\.1:\d+/lighthouse\.html$"))
    expect(source).to_have_attribute("target", "_blank")
    expect(answer).not_to_contain_text("Home Tickets About")  # a page's menu is none of its text
    expect(answer.get_by_role("link", name="How it was found")).to_have_count(0)  # nothing of it is kept

    page.reload()
    expect(page.get_by_role("button", name="Answer from the web")).to_have_attribute("aria-pressed", "true")
