"""What a model draws, in a browser: diagrams and charts as pictures, pages in a frame that reaches nothing, tables that are sorted and
saved. The model is scripted; the words are hostile where they can be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product, run_scripted_model

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]

CHART = """{"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "mark": "bar",
 "data": {"values": [{"a": "x", "b": 3}, {"a": "y", "b": 5}]},
 "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}}}"""
FROM_FAR = CHART.replace('"values":', '"url": "/zhilu/v1/conversations", "values2":')
PAGE = """<h1 id="t">made</h1><script>
const told = [];
try { told.push(parent.document.title) } catch { told.push("no parent") }
try { told.push(document.cookie + localStorage.length) } catch { told.push("no storage") }
fetch("/zhilu/v1/conversations").then(() => told.push("fetched"), () => told.push("no network"))
  .finally(() => { document.getElementById("t").textContent = told.join(", ") });
</script>"""
REPLIES: list[tuple[list[str], str]] = [
    (["diagram"], 'So:\n\n```mermaid\ngraph TD\n  A["<img src=x onerror=alert(1)>"] --> B[End]\n```\n'),
    (
        ["chart from far"],
        f"```vega-lite\n{FROM_FAR}\n```\n",
    ),
    (["chart"], f"```json\n{CHART}\n```\n"),
    (["page"], f"```html\n{PAGE}\n```\n"),
    (["table"], "| name | price |\n|---|---|\n| b | 10 |\n| a | 9 |\n| =c | 100 |\n"),
]


def ask(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Ask something…")
    field.fill(text)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=60_000)
    field.press("Enter")
    expect(page.locator("article[aria-busy=false]").last).to_be_visible()


def test_what_a_model_draws_is_shown_and_reaches_nothing(tmp_path: Path) -> None:
    with (
        run_scripted_model(tmp_path, replies=REPLIES) as model,
        run_product(tmp_path / "home", base_url=model, embedder="none") as url,
        browser_at() as browser,
    ):
        watching = Watch(browser, url)
        page = watching.page
        for asked, name in (("a diagram", "Diagram"), ("a chart", "Chart")):
            page.goto("/chat")
            ask(page, asked)
            picture = page.get_by_role("img", name=name)
            expect(picture).to_be_visible(timeout=60_000)
            assert (picture.get_attribute("src") or "").startswith("data:image/svg+xml")
            assert picture.evaluate("one => one.naturalWidth") > 50
            page.get_by_role("button", name="Show the code").click()
            expect(page.locator("article pre")).to_be_visible()

        assert not watching.errors  # not even tried

        page.goto("/chat")
        ask(page, "a chart from far away")
        expect(page.locator("article[aria-busy]").last).to_contain_text(
            re.compile("cannot be drawn|is not loaded"), timeout=60_000
        )

        page.goto("/chat")
        ask(page, "a page")
        expect(page.locator("iframe")).to_have_count(0)  # only when one asks for it
        page.get_by_role("button", name="Show it").click()
        heading = page.frame_locator("iframe").locator("#t")
        expect(heading).to_have_text("no parent, no storage, no network")
        # Chromium notes the refusals in the console: they are what was asked for.
        watching.errors = [one for one in watching.errors if "Content Security Policy" not in one and "CORS" not in one]

        page.goto("/chat")
        ask(page, "a table")
        cells = page.locator("td:first-child")
        expect(cells).to_have_text(["b", "a", "=c"])
        page.get_by_role("button", name="price").click()
        expect(cells).to_have_text(["a", "b", "=c"])
        page.get_by_role("button", name="price").click()
        expect(cells).to_have_text(["=c", "b", "a"])
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save as CSV").click()
        assert saved.value.path().read_bytes() == b"\xef\xbb\xbfname,price\r\n'=c,100\r\nb,10\r\na,9\r\n"
        watching.close()
