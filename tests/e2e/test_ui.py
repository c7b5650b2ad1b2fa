"""The workbench in a real browser on the real product; only the model is scripted, so that its words are known."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product, run_scripted_model

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "src/zhilu/host/static/index.html"
UI = ROOT / "ui"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]

HANDBOOK = """# Employee handbook

## Working hours
The office is open from eight to twenty. Core hours are ten to sixteen.

## Annual leave
Every employee has 25 days of annual leave. Leave must be requested two weeks in advance.
"""
MANUAL = """# 星河路由器手册

## 安装
请将路由器放在房屋中央，远离微波炉。首次启动大约需要两分钟。

## 保修
本产品自购买之日起提供三年保修服务。人为损坏不在保修范围之内。
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("workbench")
    with run_scripted_model(folder) as model, run_product(folder / "home", base_url=model, embedder="none") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_at() as running:
        yield running


@pytest.fixture
def watch(browser: Browser, product: str) -> Iterator[Watch]:
    watching = Watch(browser, product)
    yield watching
    watching.close()


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.page


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("documents")
    (folder / "handbook.md").write_text(HANDBOOK, encoding="utf-8")
    (folder / "手册.md").write_text(MANUAL, encoding="utf-8")
    (folder / "program.exe").write_bytes(b"MZ\x90\x00" + bytes(200))
    return sorted(folder.iterdir())


def send(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Ask something…")
    field.fill(text)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=60_000)  # the model may still be starting
    field.press("Enter")


# Chat


def test_an_answer_streams_as_markdown_and_is_there_after_a_reload(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="Where shall we begin?")).to_be_visible()
    send(page, "Show me a table")
    answer = page.locator("article[aria-busy]")
    expect(answer).to_have_attribute("aria-busy", "true")  # it is shown while it grows
    expect(answer).to_have_attribute("aria-busy", "false")
    expect(answer.locator("strong")).to_have_text("what you asked")
    expect(answer.locator("td")).to_have_text(["1", "2"])
    expect(answer.locator("pre .hljs-string")).to_have_text("'hello'")
    expect(answer.locator("math msup")).to_be_visible()
    before = answer.inner_text()
    page.reload()
    expect(page.locator("article[aria-busy]").locator("td")).to_have_text(["1", "2"])
    expect(answer.locator("math msup")).to_be_visible()  # the formula's part of the page loads on its own
    assert answer.inner_text() == before
    expect(page.get_by_role("link", name="Show me a table")).to_have_attribute("aria-current", "page")


def test_escape_stops_an_answer_and_what_came_is_kept(page: Page) -> None:
    page.goto("/chat")
    send(page, "count to four hundred")
    answer = page.locator("article[aria-busy]")
    expect(answer).to_contain_text("1 2 3 4 5")
    page.keyboard.press("Escape")
    expect(answer).to_contain_text("Stopped by you")
    page.wait_for_timeout(1500)  # the server's own copy has been read by now
    stopped = answer.inner_text()
    assert "399" not in stopped
    page.reload()
    expect(answer).to_contain_text("Stopped by you")
    expect(answer).to_contain_text("1 2 3 4 5")


def test_an_answer_goes_on_over_a_reload_and_in_a_second_tab(page: Page, watch: Watch) -> None:
    page.goto("/chat")
    send(page, "count to four hundred")
    answer = page.locator("article[aria-busy]")
    expect(answer).to_contain_text("1 2 3 4 5")
    second = watch.context.new_page()
    second.goto(page.url)
    page.reload()
    for tab in (second, page):  # it is found on its way, and grows
        expect(tab.locator("article[aria-busy]")).to_have_attribute("aria-busy", "true")
    for tab in (second, page):
        followed = tab.locator("article[aria-busy]")
        expect(followed).to_contain_text("397 398 399", timeout=60_000)
        expect(followed).to_have_attribute("aria-busy", "false")
        expect(followed).not_to_contain_text("Stopped by you")
        expect(followed).to_contain_text("1 2 3 4 5")


def test_an_answer_is_stopped_from_another_tab(page: Page, watch: Watch) -> None:
    page.goto("/chat")
    send(page, "count to four hundred")
    expect(page.locator("article[aria-busy]")).to_contain_text("1 2 3 4 5")
    second = watch.context.new_page()
    second.goto(page.url)
    expect(second.locator("article[aria-busy]")).to_have_attribute("aria-busy", "true")
    second.get_by_role("button", name="Stop", exact=True).click()
    for tab in (page, second):
        expect(tab.locator("article[aria-busy]")).to_contain_text("Stopped by you")


def test_another_answer_is_a_version_beside_the_first(page: Page) -> None:
    page.goto("/chat")
    send(page, "Tell me something")
    answer = page.locator("article[aria-busy]")
    expect(answer).to_contain_text("That is answer")
    expect(answer).to_have_attribute("aria-busy", "false")
    first = re.search(r"That is answer \d+", answer.inner_text())
    page.get_by_role("button", name="Answer again").click()
    expect(answer).to_contain_text("2/2")
    second = re.search(r"That is answer \d+", answer.inner_text())
    assert first and second and first.group() != second.group()
    page.get_by_role("button", name="Previous version").click()
    expect(answer).to_contain_text(first.group())
    page.reload()
    expect(answer).to_contain_text(first.group())  # the version that one looked at last is remembered
    expect(answer).to_contain_text("1/2")


def test_an_edited_question_begins_a_branch(page: Page) -> None:
    page.goto("/chat")
    send(page, "The first wording")
    expect(page.locator("article[aria-busy]")).to_have_attribute("aria-busy", "false")
    question = page.get_by_role("article", name="You")
    question.hover()
    page.get_by_role("button", name="Edit the question").click()
    page.get_by_role("textbox", name="Edit the question").fill("The second wording")
    page.get_by_role("button", name="Ask again").click()
    expect(question.locator("p")).to_have_text("The second wording")
    expect(page.locator("article[aria-busy]")).to_have_attribute("aria-busy", "false")
    page.get_by_role("button", name="Previous version").click()
    expect(question.locator("p")).to_have_text("The first wording")


def test_an_answer_that_breaks_off_says_so_and_can_be_asked_again(page: Page) -> None:
    page.goto("/chat")
    send(page, "please fail in the middle")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The answer broke off")
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("group", name="Version 2 of 2")).to_be_visible()


def test_a_conversation_is_renamed_found_and_deleted(page: Page) -> None:
    page.goto("/chat")
    send(page, "To be renamed")
    row = page.get_by_role("complementary", name="Conversations").locator("li", has_text="To be renamed")
    expect(page.locator("article[aria-busy]")).to_have_attribute("aria-busy", "false")
    row.hover()
    row.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_label("Name", exact=True).fill("A better name")
    page.get_by_role("button", name="Save").click()
    renamed = page.get_by_role("complementary", name="Conversations").locator("li", has_text="A better name")
    expect(renamed).to_be_visible()
    page.reload()
    renamed.hover()
    renamed.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(renamed).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/chat$"))


# Knowledge


def test_documents_are_read_asked_cited_and_what_they_do_not_say_is_refused(page: Page, documents: list[Path]) -> None:
    page.goto("/knowledge")
    page.get_by_test_id("new-kb-files").set_input_files(documents)
    page.get_by_label("Name", exact=True).fill("Company")
    page.get_by_role("button", name="Create", exact=True).click()
    for name in ("handbook.md", "手册.md"):
        expect(page.locator("li[data-status=ready]", has_text=name)).to_be_visible(timeout=60_000)
    left_out = page.get_by_text("1 file was not added").locator("..")
    expect(left_out).to_contain_text("program.exe")

    page.get_by_role("tab", name="Ask").click()
    field = page.get_by_role("textbox", name="Ask these documents…")
    field.fill("How many days of annual leave does every employee have?")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()  # the answer before has ended
    field.press("Enter")
    english = page.locator("article").nth(0)
    expect(english).to_contain_text("25 days of annual leave")
    expect(english.locator("a[aria-label^=Source]").first).to_be_visible()

    field.fill("产品的保修服务是几年？")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()  # the answer before has ended
    field.press("Enter")
    chinese = page.locator("article").nth(1)
    expect(chinese).to_contain_text("三年保修服务")

    field.fill("Who won the football championship of 1998?")
    expect(page.get_by_role("button", name="Send")).to_be_enabled()  # the answer before has ended
    field.press("Enter")
    refused = page.locator("article").nth(2)
    expect(refused).to_contain_text("The documents do not say")
    expect(refused.locator("a[aria-label^=Source]")).to_have_count(0)

    expect(refused.get_by_role("link", name="How it was found")).to_be_visible()  # it has ended: nothing scrolls now
    chip = english.locator("a[aria-label^=Source]").last
    for _ in range(5):  # a page that still scrolls takes the pointer off it again
        chip.hover()
        page.wait_for_timeout(600)
        if page.get_by_text("Open in the document").is_visible():
            break
        page.mouse.move(1, 1)
    expect(page.get_by_text("Open in the document")).to_be_visible()
    chip.click()
    expect(page.get_by_role("heading", name="handbook.md")).to_be_visible()
    mark = page.locator("mark", has_text="25 days of annual leave")
    expect(mark.first).to_be_in_viewport()

    page.go_back()
    expect(page.locator("article")).to_have_count(3)  # what was asked is still there
    page.locator("article").nth(1).get_by_role("link", name="How it was found").click()
    trace = page.get_by_role("dialog")
    expect(trace).to_contain_text("三年保修服务")
    expect(trace.locator("tbody tr").first).to_contain_text("手册.md")
    expect(trace).to_contain_text("根据资料，用中文直接、简短地回答问题。")  # the exact prompt


def test_what_was_asked_is_there_after_other_pages_and_a_reload(page: Page) -> None:
    page.goto("/knowledge")
    page.get_by_role("link", name=re.compile("Company")).click()
    page.get_by_role("tab", name="Ask").click()
    field = page.get_by_role("textbox", name="Ask these documents…")
    field.fill("How many days of annual leave does every employee have?")
    field.press("Enter")
    answer = page.locator("article[aria-busy=false]")
    expect(answer).to_contain_text("25 days of annual leave")
    field.fill("not sent yet")
    page.get_by_role("link", name="Models", exact=True).click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.go_back()
    expect(answer).to_contain_text("25 days of annual leave")
    page.reload()
    expect(answer).to_contain_text("25 days of annual leave")
    expect(answer.locator("a[aria-label^=Source]").first).to_be_visible()
    expect(field).to_have_value("not sent yet")


def test_the_same_file_again_is_no_error(page: Page, documents: list[Path]) -> None:
    page.goto("/knowledge")
    page.get_by_role("link", name=re.compile("Company")).click()
    page.get_by_test_id("add-files").set_input_files([path for path in documents if path.name == "handbook.md"])
    toast = page.get_by_role("status").get_by_role("button", name=re.compile("is here already"))
    expect(toast).to_have_attribute("data-tone", "note")


def test_chat_is_grounded_in_a_chosen_knowledge_base(page: Page, documents: list[Path]) -> None:
    page.goto("/knowledge")
    page.get_by_role("link", name=re.compile("Company")).click()
    page.get_by_role("link", name="Chat with it").click()
    field = page.get_by_role("textbox", name="Ask something…")
    expect(field).to_have_attribute("placeholder", "Ask “Company”…")
    send(page, "How many days of annual leave does every employee have?")
    answer = page.locator("article[aria-busy]")
    expect(answer).to_contain_text("25 days of annual leave")
    expect(answer.get_by_role("heading", name="Sources")).to_be_visible()
    page.reload()
    expect(answer.locator("a[aria-label^=Source]").first).to_be_visible()


def test_search_shows_passages_with_scores(page: Page) -> None:
    page.goto("/knowledge")
    page.get_by_role("link", name=re.compile("Company")).click()
    page.get_by_role("tab", name="Search").click()
    page.get_by_role("searchbox", name="Words or a question").fill("保修")
    page.get_by_role("button", name="Search", exact=True).click()
    expect(page.locator("ol li").first).to_contain_text("三年保修服务")
    expect(page.locator("ol li mark").first).to_have_text("保修")  # the hit, not merely the passage's beginning
    expect(page).to_have_url(re.compile("q=%E4%BF%9D%E4%BF%AE"))  # a search can be shared


# The other pages


def test_a_gate_runs_and_leaves_evidence(page: Page) -> None:
    page.goto("/roadmap/0.1")
    task = page.get_by_role("dialog")
    expect(task).to_contain_text("No run of this gate yet.")
    task.get_by_role("button", name="Check now").click()
    verdict = task.locator("section").first
    expect(verdict).to_have_attribute(
        "data-status", re.compile("passed|failed|not_yet|cannot_run_here"), timeout=90_000
    )
    expect(task.locator("details")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("/roadmap$"))
    expect(page.locator("li[data-task='0.1']")).not_to_have_attribute("data-status", "unchecked")
    page.goto("/jobs")
    expect(page.get_by_role("link", name="Check 0.1")).to_be_visible()


def test_the_doctor_speaks_on_stage_0(page: Page) -> None:
    page.goto("/roadmap")
    expect(page.get_by_text(re.compile(r"\d+ (things are|thing is) in order"))).to_be_visible(timeout=60_000)


def test_a_setting_is_changed_and_reset(page: Page) -> None:
    page.goto("/settings")
    row = page.locator("li", has=page.get_by_text("max_upload_mb", exact=True))
    expect(row).to_contain_text("default")
    row.get_by_role("spinbutton").fill("321")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("set here")
    page.reload()
    expect(row.get_by_role("spinbutton")).to_have_value("321")
    row.get_by_role("button", name="Back to the default").click()
    expect(row.get_by_role("spinbutton")).to_have_value("200")


def test_a_model_that_does_not_exist_is_refused_with_the_nearest_name(product: str, browser: Browser) -> None:
    watching = Watch(browser, product)
    page = watching.page
    page.goto("/settings")
    row = page.locator("li", has=page.get_by_text("engine", exact=True))
    row.get_by_role("textbox").fill("lamacpp")
    row.get_by_role("button", name="Save").click()
    expect(row.get_by_role("alert")).to_contain_text("Did you mean 'llamacpp'?")
    expect(row).to_contain_text("default")
    watching.errors = [error for error in watching.errors if "400" not in error]  # the browser logs the refusal
    watching.close()


def test_a_model_says_what_it_is(page: Page) -> None:
    page.goto("/models")
    page.get_by_role("link", name="zhilu-nano", exact=True).click()
    drawer = page.get_by_role("dialog")
    expect(drawer).to_contain_text("Qwen3ForCausalLM")
    drawer.get_by_role("tab", name="Config").click()
    expect(drawer.locator("pre")).to_contain_text('"num_hidden_layers"')


# The frame


def test_language_and_theme_switch_without_a_reload(page: Page) -> None:
    page.goto("/settings")
    page.evaluate("window.stillHere = true")
    page.get_by_role("navigation", name="Main navigation")
    page.get_by_role("button", name="Switch to Chinese").click()
    expect(page.get_by_role("heading", name="设置", exact=True)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_text("监听地址")).to_be_visible()  # the server's own texts follow
    page.get_by_role("radio", name="深色").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("window.stillHere") is True
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("heading", name="设置", exact=True)).to_be_visible()


def test_the_keyboard_leads_everywhere(page: Page) -> None:
    page.goto("/models")
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("road")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/roadmap$"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Alt+1")
    expect(page).to_have_url(re.compile("/chat$"))
    page.locator("body").click(position={"x": 5, "y": 5})
    page.keyboard.press("/")
    expect(page.get_by_role("textbox", name="Ask something…")).to_be_focused()


@pytest.mark.parametrize("height", [860, 480])
def test_the_menu_scrolls_only_where_it_does_not_fit(browser: Browser, product: str, height: int) -> None:
    watching = Watch(browser, product, width=1440, height=height)
    watching.page.goto("/models")
    expect(watching.page.get_by_role("heading", name="Models", exact=True)).to_be_visible()
    menu = watching.page.locator("aside > div").first
    size = menu.evaluate("e => [e.scrollWidth - e.clientWidth, e.scrollHeight - e.clientHeight]")
    assert size[0] == 0  # the drawing behind it is wider, and cut
    assert size[1] == 0 or height < 600
    order = watching.page.get_by_role("navigation", name="Main navigation").get_by_role("link").all_inner_texts()
    assert order.index("Roadmap") < order.index("Jobs")
    watching.close()


def test_an_address_that_leads_nowhere_says_so(page: Page) -> None:
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="No trail leads here")).to_be_visible()
    page.get_by_role("link", name="Back to chat").click()
    expect(page).to_have_url(re.compile("/chat$"))


@pytest.mark.parametrize("path", ["/chat", "/knowledge", "/models", "/playground", "/jobs", "/roadmap", "/settings"])
def test_pages_fit_a_telephone(browser: Browser, product: str, path: str) -> None:
    narrow = Watch(browser, product, width=390, height=844)
    narrow.page.goto(path)
    expect(narrow.page.locator("h1")).to_be_visible()
    assert narrow.page.evaluate("document.documentElement.scrollWidth") <= 390
    narrow.page.get_by_role("button", name="Menu").click()
    menu = narrow.page.get_by_role("dialog", name="Menu")
    menu.get_by_role("link", name="Settings").click()
    expect(narrow.page.get_by_role("heading", name="Settings", exact=True)).to_be_visible()
    expect(menu).to_have_count(0)
    narrow.close()


@pytest.mark.skipif(not (UI / "node_modules").is_dir(), reason="the front end's tools are not installed: make ui")
def test_the_types_are_those_of_the_server(product: str, tmp_path: Path) -> None:
    """``src/lib/api.gen.ts`` is what ``npm run api`` makes of this server."""
    fresh = tmp_path / "api.gen.ts"
    tool = UI / "node_modules/openapi-typescript/bin/cli.js"
    subprocess.run(
        ["node", str(tool), f"{product}/zhilu/v1/openapi.json", "-o", str(fresh)], check=True, capture_output=True
    )
    made, kept = (
        re.sub(r"\s*/\*\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)  # docstrings may differ
        for path in (fresh, UI / "src/lib/api.gen.ts")
    )
    assert made == kept, "run `npm run api` in ui/"
