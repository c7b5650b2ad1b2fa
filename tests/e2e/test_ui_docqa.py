"""Documents in a browser: a folder's files opened, a table and a text asked, the place of each answer marked beside it, a summary;
and the products' page with its acceptance figures. zhilu-nano answers: a real model, with real retrieval."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

import zhilu.apps.docqa

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
SAMPLES = sorted((Path(zhilu.apps.docqa.__file__).parent / "samples").iterdir())
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]


def test_documents_are_asked_beside_their_text(tmp_path: Path) -> None:
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        watching = Watch(browser, url, width=1440)
        page = watching.page
        page.goto("/docqa")
        # As content, not as paths: a browser in a locale that is not installed reads no file with a Chinese name.
        files = [FilePayload(name=path.name, mimeType="", buffer=path.read_bytes()) for path in SAMPLES]
        page.get_by_test_id("docqa-files").set_input_files(files)
        page.wait_for_url(re.compile(r"/docqa/[0-9a-f]{12}"))
        question = page.get_by_test_id("docqa-question")
        send = page.get_by_role("button", name="Send")
        expect(page.get_by_label("Document", exact=True).get_by_role("option")).to_have_count(4, timeout=60_000)

        question.fill("Which route has the most sailings per day?")
        send.click()
        turn = page.get_by_test_id("docqa-turn").last
        expect(turn).to_contain_text("Little Vessa, Sailings per day: 14.")
        expect(turn).to_contain_text("From a table: which has the highest Sailings per day")
        marked = page.locator("mark[data-quote]")
        expect(marked).to_have_text("| Little Vessa | 20 | 5 | 14 |")
        expect(marked).to_be_in_viewport()

        question.fill("补办读者证的工本费是多少？")
        send.click()
        turn = page.get_by_test_id("docqa-turn").last
        expect(turn).to_contain_text("十五元", timeout=60_000)
        expect(marked.first).to_have_text("十五元")
        expect(page.get_by_label("Document", exact=True)).to_have_value(re.compile("[0-9a-f]{12}"))
        turn.get_by_role("link", name=re.compile("Source 1")).first.click()
        expect(page).to_have_url(re.compile(r"/docqa/[0-9a-f]{12}\?doc=.*&start="))

        page.get_by_role("radio", name="Tables").click()
        expect(page.get_by_role("cell", name="电子阅览室")).to_be_visible()
        page.get_by_role("radio", name="Summary").click()
        page.get_by_role("button", name="Summarise this document").click()
        expect(page.get_by_test_id("docqa-summary").get_by_role("listitem").first).to_be_visible(timeout=120_000)
        watching.close()


def test_the_products_page_shows_what_its_acceptance_says(tmp_path: Path) -> None:
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/apps")
        card = page.get_by_test_id("product-docqa")
        expect(card).to_contain_text("never run here")
        card.get_by_role("button", name="Run its acceptance").click()
        expect(card).to_contain_text(re.compile(r"\d+ of 24 right"), timeout=200_000)
        card.get_by_text("Its cases").click()
        expect(card.get_by_role("listitem")).to_have_count(24)
        card.get_by_role("link", name="Open").click()
        expect(page).to_have_url(re.compile("/docqa$"))
        watching.close()
