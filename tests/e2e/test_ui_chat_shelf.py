"""Folders of conversations by menu and by drag, and saved prompts put in after a slash, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product, run_scripted_model

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]


def test_folders_and_prompts(tmp_path: Path) -> None:
    with (
        run_scripted_model(tmp_path) as model,
        run_product(tmp_path / "home", base_url=model, embedder="none") as url,
        browser_at() as browser,
    ):
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/chat")
        page.get_by_role("button", name="All conversations").click()
        page.get_by_role("menuitem", name="Prompts").click()
        page.get_by_role("button", name="New prompt").click()
        page.get_by_label("Name").fill("translate")
        page.get_by_label("Text").fill("Translate into {{lang}}: {{words}}")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("dialog")).to_contain_text("/translate")
        page.keyboard.press("Escape")

        field = page.get_by_role("textbox", name="Ask something…")
        field.press_sequentially("/tran")
        expect(page.get_by_role("option", name="/translate")).to_have_attribute("aria-selected", "true")
        field.press("Enter")
        page.get_by_label("lang").fill("French")
        page.get_by_label("words").fill("good morning")
        page.get_by_role("button", name="Put it in").click()
        expect(field).to_have_value("Translate into French: good morning")
        expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=60_000)
        field.press("Enter")
        expect(page.locator("article[aria-busy=false]")).to_be_visible()

        chat = page.get_by_role("listitem").filter(has_text="Translate into French")
        chat.hover()
        chat.get_by_role("button", name="More").click()
        page.get_by_role("menuitem", name="New folder…").click()
        page.get_by_label("Name of the folder").fill("Languages")
        page.get_by_role("button", name="Save").click()
        folder = page.get_by_test_id("chat-folder")
        expect(folder).to_contain_text("Translate into French")

        page.get_by_role("button", name="All conversations").click()
        page.get_by_role("menuitem", name="New folder…").click()
        page.get_by_label("Name of the folder").fill("Other")
        page.get_by_role("button", name="Save").click()
        expect(folder).to_have_count(2)
        folder.first.get_by_role("listitem").drag_to(folder.last)
        expect(folder.last).to_contain_text("Translate into French")
        expect(folder.first).not_to_contain_text("Translate into French")

        folder.last.hover()
        page.get_by_role("button", name="More: Other").click()
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("dialog").or_(page.get_by_role("alertdialog")).get_by_role("button", name="Delete").click()
        expect(folder).to_have_count(1)
        expect(page.get_by_role("link", name="Translate into French")).to_be_visible()
        watching.close()
