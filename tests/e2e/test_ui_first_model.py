"""The first bar, in a browser, with the real model: it arrives by itself, becomes the default, and answers like one.

The model comes from a folder (``model_folder``), as a company's share would give it: no network is reached.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.real_model,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]
# The tests' folder of the model -> its name in the catalogue, and the class that the setting ``starter`` asks for.
MODELS = {"qwen-coder-0.5b": ("qwen2.5-coder-0.5b", "small")}
ARRIVES_MS = 600_000  # a slow machine that does other things beside; the bar itself is measured, not asserted
ANSWERS_MS = 300_000
FUNCTION = "Write a Python function is_prime(n) that returns True when n is a prime number. Only the code."
FUNCTION_ZH = "写一个 Python 函数 count_words(text)，返回字典：每个单词出现的次数（按空白分词）。只要代码。"
CHECKS = "assert [n for n in range(30) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]"
CHECKS_ZH = "assert dict(count_words('a b a')) == {'a': 2, 'b': 1}, count_words('a b a')"


@pytest.fixture(scope="module", params=list(MODELS))
def arrived(
    request: pytest.FixtureRequest, real_model: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Page, str]]:
    """The workbench after the first model has arrived under the eyes of the page."""
    name, group = MODELS[request.param]
    file = real_model(request.param, "*.gguf")
    folder = tmp_path_factory.mktemp("share")
    (folder / "models" / name).mkdir(parents=True)
    (folder / "models" / name / file.name).symlink_to(file)
    settings = {"starter": group, "model_folder": str(folder / "models"), "offline": "true"}
    with run_product(folder / "home", **settings) as url, browser_at() as browser:
        watching = Watch(browser, url)
        # The likeliest answer: a test may not fail by chance. A person's sampling is kept at this place too.
        watching.context.add_init_script(
            f"localStorage.setItem('zhilu.sampling', {json.dumps(json.dumps({'temperature': 0}))})"
        )
        page = watching.page
        page.goto("/")
        arriving = page.get_by_role("region", name="Still to arrive")
        expect(arriving).to_contain_text("The first model", timeout=60_000)
        expect(page.get_by_role("button", name=f"Model: {name}")).to_be_visible(timeout=ARRIVES_MS)
        expect(arriving.get_by_text("The first model")).to_have_count(0, timeout=ARRIVES_MS)
        said = httpx.get(f"{url}/zhilu/v1/status", trust_env=False).json()["model"]
        assert (said["name"], said["state"]) == (name, "ready"), said
        yield page, url
        watching.close()


def _ask(page: Page, question: str) -> Locator:
    page.goto("/chat")
    page.get_by_role("textbox", name=re.compile("^Ask something")).fill(question)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=60_000)
    page.keyboard.press("Enter")
    answer = page.locator("article[aria-busy=false]")
    expect(answer).to_be_visible(timeout=ANSWERS_MS)
    expect(page.get_by_role("alert")).to_have_count(0)
    print(f"\n--- {question}\n{answer.inner_text()}")  # to be read: pytest -s
    return answer


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("What is 2+2?", r"\b4\b|\bfour\b"),
        ("2+2等于几？", r"4|四"),
        ("What is the capital of France?", "Paris"),
        ("日本的首都是哪个城市？", "东京"),
    ],
)
def test_it_knows_what_everybody_knows(arrived: tuple[Page, str], question: str, told: str) -> None:
    expect(_ask(arrived[0], question)).to_contain_text(re.compile(told))


@pytest.mark.parametrize(("question", "checks"), [(FUNCTION, CHECKS), (FUNCTION_ZH, CHECKS_ZH)], ids=["en", "zh"])
def test_the_function_that_it_writes_works(arrived: tuple[Page, str], question: str, checks: str) -> None:
    code = _ask(arrived[0], question).locator("pre").first.inner_text()
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{code}\n{checks}\n"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, f"{code}\n{done.stderr}"
