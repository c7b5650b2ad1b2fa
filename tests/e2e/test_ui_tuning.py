"""Fine-tuning in the browser, nothing scripted: data with a fault, mended data, a run, its curve, and parity."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("needs_torch"),
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]
ROWS = [{"prompt": f"What is {i} plus {i + 1}?", "completion": f"Arr, {2 * i + 1} it be!"} for i in range(24)]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("product")
    with run_product(folder / "home") as url, browser_at() as browser:
        watching = Watch(browser, url)
        yield watching.page
        watching.close()


@pytest.mark.timeout(600)
def test_from_a_file_to_a_proven_adapter(page: Page, tmp_path: Path) -> None:
    good = "\n".join(map(json.dumps, ROWS))
    (tmp_path / "broken.jsonl").write_text(f'{good}\n{{"prompt": "What?", "completion": ""}}\n')
    (tmp_path / "pirate.jsonl").write_text(good)
    page.goto("/tuning")
    page.get_by_test_id("dataset-file").set_input_files(tmp_path / "broken.jsonl")
    broken = page.locator("article[data-dataset=broken]")
    expect(broken).to_contain_text("an empty answer", timeout=60_000)
    expect(broken).to_contain_text("line 25")
    expect(broken.get_by_role("button", name="Train", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Delete broken").click()
    expect(broken).to_have_count(0)

    page.get_by_test_id("dataset-file").set_input_files(tmp_path / "pirate.jsonl")
    card = page.locator("article[data-dataset=pirate]")
    expect(card).to_contain_text("24 of 24 rows can be learned", timeout=60_000)
    card.get_by_text("What the model sees").click()
    expect(card.locator("mark").first).to_contain_text("Arr, 1 it be!")
    card.get_by_role("button", name="Train", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Base model")).to_have_value("zhilu-nano")
    dialog.get_by_label("Name of the run (optional)").fill("pirate-talk")
    dialog.get_by_role("button", name="Train", exact=True).click()

    expect(page).to_have_url(re.compile("/tuning/pirate-talk$"))
    run = page.get_by_role("dialog")
    expect(run.get_by_role("img", name=re.compile("Loss by step"))).to_be_visible(timeout=300_000)
    expect(run.get_by_text("Held-out questions, before and after")).to_be_visible(timeout=300_000)
    expect(run).to_contain_text("it be!")
    run.get_by_role("button", name="Compare with what is served").click()
    expect(run.locator("p[data-equal=true]")).to_contain_text(
        "The served pirate-talk is the trained one", timeout=120_000
    )
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("link", name="pirate-talk")).to_be_visible()
