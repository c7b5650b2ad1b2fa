"""The whole product in a browser, nothing scripted: the embedded model, the embedded embedder, the workbench."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

from zhilu.models.shipped import NANO

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
    pytest.mark.skipif(not (NANO / "model.safetensors").exists(), reason="this checkout has no embedded weights"),
]
LEAVE = "# Leave\n\nEvery employee has 25 days of annual leave. Leave must be requested two weeks in advance.\n"
WARRANTY = "# 路由器手册\n\n本产品自购买之日起提供三年保修服务。人为损坏不在保修范围之内。\n"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("product")
    with run_product(folder / "home") as url, browser_at() as browser:
        watching = Watch(browser, url)
        yield watching.page
        watching.close()


def test_the_model_starts_by_itself_and_answers(page: Page) -> None:
    page.goto("/")
    page.get_by_role("textbox", name="Ask something…").fill("Who are you?")
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=90_000)
    page.keyboard.press("Enter")
    answer = page.locator("article[aria-busy=false]")
    expect(answer).to_be_visible(timeout=60_000)
    expect(answer).to_contain_text(re.compile(r"zhilu-nano · \d+ tokens?"))
    expect(page.get_by_role("alert")).to_have_count(0)


def test_documents_are_answered_from_in_both_languages(page: Page, tmp_path: Path) -> None:
    (tmp_path / "leave.md").write_text(LEAVE, encoding="utf-8")
    (tmp_path / "手册.md").write_text(WARRANTY, encoding="utf-8")
    page.goto("/knowledge")
    page.get_by_test_id("new-kb-files").set_input_files(sorted(tmp_path.iterdir()))
    page.get_by_label("Name", exact=True).fill("Both")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.locator("li[data-status=ready]")).to_have_count(2, timeout=90_000)
    page.get_by_role("tab", name="Ask").click()
    asked = (
        ("How many days of annual leave does every employee have?", "25 days"),
        ("本产品提供几年的保修服务？", "三年"),
    )
    for number, (question, told) in enumerate(asked):
        page.get_by_role("textbox", name="Ask these documents…").fill(question)
        page.keyboard.press("Enter")
        article = page.locator("article").nth(number)
        expect(article).to_have_attribute("aria-busy", "false", timeout=60_000)
        expect(article).to_contain_text(told)
        expect(article.locator("a[aria-label^=Source]").first).to_be_visible()


def test_a_model_is_stopped_and_started(page: Page) -> None:
    page.goto("/models")
    card = page.locator("article[data-model=zhilu-nano]")
    card.get_by_role("button", name="Stop").click()
    expect(card).to_contain_text("Stopped")
    page.goto("/chat")
    expect(page.get_by_text("zhilu-nano is not running.")).to_be_visible()
    page.get_by_role("button", name="Start it").click()
    page.goto("/models")
    expect(card).to_contain_text("Ready", timeout=60_000)
