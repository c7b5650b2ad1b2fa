"""The playground and the models page in a real browser on the real product.

Two models answer: zhilu-nano on our own engine, and a scripted one reached by its URL, whose words and requests are known.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product, run_scripted_model

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]
PATIENCE_MS = 120_000  # a model may have to start first, on a busy machine


@dataclass(frozen=True)
class Product:
    url: str
    model: str  # address of the scripted model, without /v1

    def last_request(self) -> Any:
        """What the scripted model was asked last."""
        return httpx.get(f"{self.model}/last", trust_env=False).json()


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    folder = tmp_path_factory.mktemp("playground")
    with run_scripted_model(folder) as model, run_product(folder / "home", embedder="none", threads="1") as url:
        body = {"engine": "openai", "base_url": model, "remote_model": "zhilu-nano"}
        httpx.post(f"{url}/zhilu/v1/models/scripted/start", json=body, trust_env=False).raise_for_status()
        yield Product(url, model.removesuffix("/v1"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browser_at() as running:
        yield running


@pytest.fixture
def watch(browser: Browser, product: Product) -> Iterator[Watch]:
    watching = Watch(browser, product.url)
    watching.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield watching
    watching.close()


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.page


def write(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message 1, user").fill(text)


def send(page: Page) -> None:
    page.get_by_role("button", name=re.compile("^Send")).click()


def done(page: Page) -> None:
    expect(page.get_by_role("button", name=re.compile("^Send"))).to_be_visible(timeout=PATIENCE_MS)


def body_of(page: Page) -> Any:
    """The request tab's JSON."""
    page.get_by_role("tab", name="Request").click()
    return json.loads(page.locator("pre[aria-label=Request]").inner_text())


# The playground


def test_what_is_shown_is_what_is_sent_and_is_there_after_a_reload(page: Page, product: Product) -> None:
    page.goto("/playground?model=scripted")
    page.get_by_role("textbox", name="System message").fill("Be brief.")
    write(page, "Show me a table 表格")
    page.get_by_role("spinbutton", name="temperature").fill("0.3")
    page.get_by_role("slider", name="top_p").press("ArrowLeft")
    page.get_by_role("spinbutton", name="seed").fill("7")
    page.get_by_label("Stop at (stop)").fill("\\n\\nEnd\nFin")
    send(page)
    answer = page.get_by_test_id("answer")
    expect(answer).to_contain_text("what you asked", timeout=PATIENCE_MS)
    done(page)
    sent = product.last_request()
    assert (sent["temperature"], sent["top_p"], sent["seed"]) == (0.3, 0.99, 7)
    assert sent["stop"] == ["\n\nEnd", "Fin"]
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body_of(page) == {**sent, "model": "scripted"}
    figures = page.locator("dl").filter(has_text="First token")
    expect(figures).to_contain_text(re.compile(r"Prompt\s*10 tokens"))
    expect(figures).to_contain_text(re.compile(r"Ended by\s*stop"))
    page.get_by_role("tab", name="Response").click()
    raw = page.locator("pre[aria-label=Response]")
    expect(raw).to_contain_text('data: {"id": "c"')
    expect(raw).to_contain_text("data: [DONE]")

    page.reload()
    expect(page.get_by_role("textbox", name="Message 1, user")).to_have_value("Show me a table 表格")
    expect(page.get_by_role("spinbutton", name="temperature")).to_have_value("0.3")
    expect(answer).to_contain_text("what you asked")
    assert body_of(page)["stop"] == ["\n\nEnd", "Fin"]


@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_code_to_copy_sends_exactly_the_request(
    page: Page, product: Product, tmp_path: Path, language: str
) -> None:
    page.goto("/playground?model=scripted")
    write(page, 'Quote "this" and \\that\\, $HOME `x` it\'s 你好 😀\nnext line')
    page.get_by_role("spinbutton", name="temperature").fill("0")
    page.get_by_role("spinbutton", name="top_k").fill("5")
    wanted = body_of(page)
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("radio", name=language).click()
    page.get_by_role("button", name="Copy: Code").click()
    code = page.evaluate("navigator.clipboard.readText()")
    program = tmp_path / "program"
    program.write_text(code, encoding="utf-8")
    argv = ["sh", str(program)] if language == "curl" else [sys.executable, str(program)]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONUTF8": "1", "NO_PROXY": "127.0.0.1"}
    ended = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert "what you asked" in "".join(re.findall(r'"content": "(.*?)"[,}]', ended.stdout)) or language == "Python"
    assert product.last_request() == {**wanted, "model": "zhilu-nano"}


def test_escape_stops_and_what_came_stays(page: Page) -> None:
    page.goto("/playground?model=scripted")
    write(page, "count to four hundred")
    page.get_by_role("textbox", name="Message 1, user").press("Control+Enter")
    answer = page.get_by_test_id("answer")
    expect(answer).to_contain_text("1 2 3 4 5", timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Stopped by you")).to_be_visible()
    assert "399" not in answer.inner_text()
    page.reload()
    expect(answer).to_contain_text("1 2 3 4 5")


def test_every_token_has_its_alternatives(page: Page) -> None:
    page.goto("/playground?model=zhilu-nano")
    write(page, "Who are you?")
    page.get_by_role("spinbutton", name="temperature").fill("0")
    page.get_by_role("spinbutton", name="max_tokens").fill("12")
    page.get_by_text("Log-probabilities", exact=True).click()
    page.get_by_label("Report every token's probability").check()
    page.get_by_label("Alternatives a token (top_logprobs)").fill("3")
    send(page)
    answer = page.get_by_test_id("answer")
    expect(answer).to_be_visible(timeout=PATIENCE_MS)
    done(page)
    said = answer.inner_text()
    page.get_by_role("tab", name="Tokens").click()
    tokens = page.get_by_role("group", name="Tokens").get_by_role("button")
    assert 1 < tokens.count() <= 12
    assert "".join(tokens.all_inner_texts()).replace("⏎", "").split() == said.split()
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(3)
    first = rows.first.inner_text()
    tokens.first.focus()
    page.keyboard.press("ArrowRight")
    expect(tokens.nth(1)).to_be_focused()
    expect(tokens.nth(1)).to_have_attribute("aria-pressed", "true")
    assert rows.first.inner_text() != first


def test_tools_are_checked_called_and_answered(page: Page, product: Product) -> None:
    page.goto("/playground?model=scripted")
    write(page, "Weather in Vienna?")
    page.locator("summary").filter(has_text="Tools").click()
    page.get_by_role("button", name="Edit: Tools").click()
    editor = page.get_by_role("dialog").get_by_role("textbox", name="Tools")
    editor.fill('[{"type": "function",\n oops}]')
    expect(page.get_by_role("dialog")).to_contain_text("No JSON at line 2, column 2.")
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Edit: Tools").click()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Insert an example").click()
    expect(page.get_by_role("dialog")).to_contain_text("Valid")
    page.get_by_role("button", name="Done").click()
    send(page)
    expect(page.get_by_text("Calls get_weather")).to_be_visible(timeout=PATIENCE_MS)
    done(page)
    assert product.last_request()["tools"][0]["function"]["name"] == "get_weather"
    page.get_by_role("button", name="Continue with this answer").click()
    expect(page.get_by_label("Which call this answers (tool_call_id)")).to_have_value("call_1")
    page.get_by_role("textbox", name="Message 3, tool").fill("21 degrees")
    send(page)
    expect(page.get_by_test_id("answer")).to_be_visible(timeout=PATIENCE_MS)
    roles = [message["role"] for message in product.last_request()["messages"]]
    assert roles == ["user", "assistant", "tool"]
    assert product.last_request()["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"city": "Wien"}'


def test_a_refusal_is_shown_with_the_server_s_words(page: Page, watch: Watch) -> None:
    page.goto("/playground?model=zhilu-nano")
    write(page, "Hello")
    page.get_by_role("spinbutton", name="max_tokens").fill("1000000")
    send(page)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("1000000", timeout=PATIENCE_MS)
    page.get_by_role("tab", name="Response").click()
    expect(page.get_by_text("HTTP 400")).to_be_visible()
    watch.errors.clear()  # Chromium reports every 4xx in its console


def test_two_models_side_by_side_part_at_a_marked_token(page: Page) -> None:
    page.goto("/playground?view=compare")
    write(page, "Who are you?")
    page.get_by_role("spinbutton", name="temperature").fill("0")
    page.get_by_label("Model 1").select_option("zhilu-nano")
    page.get_by_label("Model 2").select_option("scripted")
    page.get_by_role("button", name="Send to all").click()
    expect(page.get_by_test_id("column-answer")).to_have_count(2, timeout=PATIENCE_MS)
    done(page)
    expect(page.get_by_text(re.compile("They part at the marked token"))).to_be_visible()
    expect(page.locator("article mark")).to_have_count(2)
    expect(page.locator("article").filter(has_text="First token")).to_have_count(2)
    page.get_by_label("Model 2").select_option("zhilu-nano")
    page.get_by_role("button", name="Add a model").click()
    expect(page.get_by_label("Model 3")).to_be_visible()
    page.get_by_label("Model 3").select_option("zhilu-nano")
    page.get_by_role("button", name="Send to all").click()
    expect(page.get_by_text("All answers are alike, to the last character.")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("article mark")).to_have_count(0)


# The models page


def test_a_model_is_started_with_options_and_watched(page: Page, product: Product) -> None:
    page.goto("/models")
    card = page.locator("article[data-model=zhilu-nano]")
    expect(card.get_by_text("Ready", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(card.get_by_test_id("live-zhilu-nano")).to_contain_text("Tokens/s")
    card.get_by_role("button", name=re.compile("Restart with options")).click()
    dialog = page.get_by_role("dialog", name="Restart zhilu-nano")
    need = dialog.get_by_test_id("memory")
    expect(need).to_contain_text("fits")
    before = need.inner_text()
    dialog.get_by_role("spinbutton", name="Context, in tokens").fill("256")
    dialog.get_by_role("spinbutton", name="Requests at the same time").fill("3")
    expect(need).to_contain_text("Memory for 3 requests of 256 tokens")
    assert need.inner_text() != before
    expect(dialog.get_by_role("radio", name=re.compile("Zhilu engine"))).to_be_enabled()
    dialog.get_by_role("spinbutton", name="Requests at the same time").fill("")
    dialog.get_by_role("button", name="Restart", exact=True).click()
    expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    expect(card.get_by_text("Ready", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    models = {m["id"]: m for m in httpx.get(f"{product.url}/v1/models", trust_env=False).json()["data"]}
    assert models["zhilu-nano"]["max_model_len"] == 256


def test_a_restart_with_a_bad_adapter_is_refused_and_the_model_runs_on(
    page: Page, product: Product, watch: Watch
) -> None:
    def pid() -> Any:
        rows = httpx.get(f"{product.url}/zhilu/v1/engines/running", trust_env=False).json()
        return next((row["pid"] for row in rows if row["model"] == "zhilu-nano" and row["state"] == "ready"), None)

    httpx.post(f"{product.url}/zhilu/v1/models/zhilu-nano/start", json={}, trust_env=False).raise_for_status()
    page.goto("/models")
    card = page.locator("article[data-model=zhilu-nano]")
    expect(card.get_by_text("Ready", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    before = pid()
    card.get_by_role("button", name=re.compile("Restart with options")).click()
    dialog = page.get_by_role("dialog", name="Restart zhilu-nano")
    dialog.get_by_role("button", name="Add an adapter").click()
    dialog.get_by_label("Name 1").fill("mine")
    dialog.get_by_label("Folder with adapter_config.json 1").fill("/nowhere")
    dialog.get_by_role("button", name="Restart", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("there is no folder '/nowhere'", timeout=PATIENCE_MS)
    expect(dialog.get_by_role("alert")).to_contain_text("zhilu serve zhilu-nano --lora mine=FOLDER")
    assert before is not None and pid() == before
    watch.errors.clear()  # the refused request itself


def test_adapters_are_listed_and_a_bad_folder_is_refused(page: Page, watch: Watch) -> None:
    page.goto("/models/zhilu-nano")
    drawer = page.get_by_role("dialog", name="zhilu-nano")
    drawer.get_by_role("tab", name="Adapters").click()
    expect(drawer).to_contain_text("No adapter is loaded.")
    drawer.get_by_label("Name", exact=True).fill("mine")
    drawer.get_by_label("Folder with adapter_config.json").fill("/nowhere")
    drawer.get_by_role("button", name="Load", exact=True).click()
    expect(drawer.get_by_role("alert")).to_contain_text("/nowhere", timeout=PATIENCE_MS)
    watch.errors.clear()


def test_engines_say_when_and_where_their_facts_were_checked(page: Page, product: Product) -> None:
    page.goto("/models")
    engines = httpx.get(f"{product.url}/zhilu/v1/engines", trust_env=False).json()
    for engine in engines:
        line = page.locator(f"li[data-engine={engine['name']}]")
        expect(line).to_contain_text(engine["title"]["en"])
        expect(line).to_contain_text(f"Checked {engine['checked']}")
        expect(line).to_contain_text("can be used" if engine["installed"] else engine["why"]["en"])


@pytest.mark.parametrize("path", ["/playground", "/playground?view=compare", "/models", "/models/zhilu-nano"])
def test_pages_fit_a_telephone_in_chinese(browser: Browser, product: Product, path: str) -> None:
    narrow = Watch(browser, product.url, lang="zh", width=390, height=844)
    narrow.page.goto(path)
    expect(narrow.page.locator("h1")).to_be_attached()
    narrow.page.wait_for_timeout(500)
    assert narrow.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert re.search("[一-鿿]", narrow.page.locator("main").inner_text())
    narrow.close()
