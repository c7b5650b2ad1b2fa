"""Somebody else's API, added in a browser: the "cloud" is another Zhilu of this machine, behind a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

from zhilu.models.shipped import NANO

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
    pytest.mark.skipif(not (NANO / "model.safetensors").exists(), reason="this checkout has no embedded weights"),
]
KEY = "sk-the-cloud-0123456789-7e57"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_product(tmp_path_factory.mktemp("cloud") / "home", api_key=KEY) as url:
        yield url


def test_an_api_is_added_chosen_and_forgotten(cloud: str, tmp_path: Path) -> None:
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/models?do=api")
        page.get_by_label("Which").select_option(label="Any other OpenAI-compatible URL")
        page.get_by_label("Name it here").fill("cloud")
        page.get_by_label("Address").fill(cloud)
        page.get_by_label("Key (where it wants one)").fill("sk-a-wrong-one-0000")
        page.get_by_role("button", name="Test and add").click()
        expect(page.get_by_role("alert")).to_contain_text("refuses the key …0000")
        watching.errors.clear()  # the browser reports the refusal, as it should
        page.get_by_label("Key (where it wants one)").fill(KEY)
        page.get_by_role("button", name="Test and add").click()
        card = page.locator("li[data-api=cloud]")
        expect(card).to_contain_text("key …7e57", timeout=60_000)
        assert KEY not in page.content()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Test cloud").click()
        expect(page.get_by_text(re.compile(r"cloud/zhilu-nano answered in \d"))).to_be_visible(timeout=30_000)

        page.goto("/chat")
        page.get_by_role("button", name=re.compile("^Model:")).click()
        expect(page.get_by_text("By the API cloud")).to_be_visible()
        page.get_by_role("menuitem", name="zhilu-nano").last.click()
        page.get_by_role("textbox", name="Ask something…").fill("Who are you?")
        page.keyboard.press("Enter")
        answer = page.locator("article[aria-busy=false]")
        expect(answer).to_contain_text(re.compile(r"cloud/zhilu-nano · \d+ tokens?"), timeout=60_000)

        page.goto("/models")
        page.get_by_role("button", name="Remove cloud").click()
        page.get_by_role("button", name="Delete").click()
        expect(card).to_have_count(0)
        watching.close()
