"""Pictures of the running product: ``docs/images`` for the README, or every page in every guise to look at.

python -m tests.e2e.screenshots                  # docs/images/*.png
python -m tests.e2e.screenshots --all shots/     # 1440 and 390 pixels, light and dark, zh and en
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, expect
from tests.e2e.workbench import browser_at, run_product

IMAGES = Path(__file__).parents[2] / "docs/images"
MOST_BYTES = 200_000
GATES_S = 300
TEXTS = {
    "en": {
        "files": {
            "staff-handbook.md": "# Staff handbook\n\n## Working hours\n\nThe office is open from 8:00 to 20:00. Core hours are "
            "10:00 to 16:00. Remote work is possible on three days a week after agreement with the team lead.\n\n"
            "## Annual leave\n\nEvery employee has 25 days of annual leave. Leave must be requested at least two weeks in "
            "advance. Up to 5 unused days may be carried over until the end of March.\n\n## Expenses\n\nTravel expenses are "
            "refunded within 30 days when the receipts are handed in. Hotel costs up to 140 euros a night are covered.\n",
            "service-desk.md": "# Service desk\n\n## Equipment\n\nEach new employee receives a laptop and a headset on the "
            "first day. A laptop is replaced after four years.\n\n## Contact\n\nBroken equipment is reported to the service "
            "desk at extension 4242. The service desk answers from 7:30 to 18:00.\n",
        },
        "name": "Company documents",
        "questions": (
            "How many days of annual leave does every employee have?",
            "Who won the football championship of 1998?",
        ),
        "labels": ("Name", "Create", "Ask", "Ask these documents…"),
    },
    "zh": {
        "files": {
            "员工手册.md": "# 员工手册\n\n## 工作时间\n\n办公室开放时间为八点到二十点，核心工作时间为十点到十六点。经主管同意，"
            "每周可以远程办公三天。\n\n## 年假\n\n每位员工每年有二十五天年假。请假须至少提前两周提出申请。未休完的年假最多可结转五天，"
            "有效期到次年三月底。\n\n## 报销\n\n提交票据后，差旅费用在三十天内报销。住宿标准为每晚不超过六百元。\n",
            "路由器手册.md": "# 星河路由器手册\n\n## 安装\n\n请将路由器放在房屋中央，远离微波炉和金属物体。首次启动大约需要两分钟。\n\n"
            "## 保修\n\n本产品自购买之日起提供三年保修服务。人为损坏和进水不在保修范围之内。\n\n## 重置\n\n按住重置键十秒钟，"
            "路由器将恢复出厂设置。\n",
        },
        "name": "公司文档",
        "questions": ("每位员工每年有多少天年假？", "一九九八年世界杯的冠军是谁？"),
        "labels": ("名称", "新建", "提问", "向这些文档提问…"),
    },
}  # fmt: skip


@dataclass(frozen=True)
class Guise:
    """How a page is looked at; widths below 900 pixels are a telephone."""

    lang: str
    width: int = 1440
    height: int = 900
    theme: str = "light"

    @property
    def name(self) -> str:
        return f"{self.width}-{self.theme}-{self.lang}"


@contextmanager
def window(browser: Browser, url: str, guise: Guise) -> Iterator[Page]:
    context = browser.new_context(
        base_url=url,
        viewport={"width": guise.width, "height": guise.height},
        color_scheme="dark" if guise.theme == "dark" else "light",
        locale="zh-CN" if guise.lang == "zh" else "en-US",
        is_mobile=guise.width < 900,
        has_touch=guise.width < 900,
    )
    yield context.new_page()
    context.close()


def get(url: str, path: str) -> Any:
    with urlopen(f"{url}/zhilu/v1{path}") as answer:
        return json.load(answer)


def check_gates(url: str) -> None:
    """Run every gate, so that the roadmap shows verdicts; those that need more than a fresh machine say so."""
    request = Request(f"{url}/zhilu/v1/roadmap/check", b"{}", {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        job = json.load(answer)["id"]
    deadline = time.monotonic() + GATES_S
    while get(url, f"/jobs/{job}")["status"] in ("queued", "running"):
        assert time.monotonic() < deadline, "the gates take too long"
        time.sleep(1)


def fill(browser: Browser, url: str, lang: str, folder: Path) -> None:
    """Give the product a knowledge base in one language and a conversation, through the workbench itself."""
    texts: Any = TEXTS[lang]
    for name, text in texts["files"].items():
        (folder / name).write_text(text, encoding="utf-8")
    label, create = texts["labels"][:2]
    with window(browser, url, Guise(lang)) as page:
        page.goto("/knowledge")
        page.wait_for_timeout(1000)
        if page.get_by_test_id("new-kb-files").count():
            page.get_by_test_id("new-kb-files").set_input_files([folder / name for name in texts["files"]])
            page.get_by_label(label, exact=True).fill(texts["name"])
            page.get_by_role("button", name=create, exact=True).click()
        else:
            page.get_by_role("button", name="New knowledge base" if lang == "en" else "新建知识库").click()
            page.get_by_label(label, exact=True).fill(texts["name"])
            page.get_by_role("button", name=create, exact=True).click()
            page.get_by_test_id("add-files").set_input_files([folder / name for name in texts["files"]])
        expect(page.locator("li[data-status=ready]")).to_have_count(len(texts["files"]), timeout=60_000)
        page.goto("/chat")
        expect(page.locator("[data-example]").first).to_be_visible()
        examples = page.locator("[data-example]").all_inner_texts()[:2]
        for position, example in enumerate(examples, start=1):
            field = page.locator("textarea")
            field.fill(example)
            expect(page.locator("button[type=submit]")).to_be_enabled(timeout=60_000)
            field.press("Enter")
            expect(page.locator("article[aria-busy=false]")).to_have_count(position, timeout=60_000)


def save(page: Page, path: Path) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(path, optimize=True)
    assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"


def ask_all(page: Page, url: str, lang: str) -> None:
    texts: Any = TEXTS[lang]
    kb = next(kb["id"] for kb in get(url, "/kbs") if kb["name"] == texts["name"])
    page.goto(f"/knowledge/{kb}")
    page.get_by_role("tab", name=texts["labels"][2]).click()
    for position, question in enumerate(texts["questions"]):
        field = page.get_by_role("textbox", name=texts["labels"][3])
        field.fill(question)
        field.press("Enter")
        expect(page.locator("article[aria-busy=false]")).to_have_count(position + 1, timeout=60_000)
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)


def readme(browser: Browser, url: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for lang in TEXTS:
        guise = Guise(lang, width=1280, height=800)
        with window(browser, url, guise) as page:
            ask_all(page, url, lang)
            save(page, IMAGES / f"knowledge-{lang}.png")
            page.locator("article a[href*='/documents/']").first.click()
            expect(page.locator("mark").first).to_be_visible()
            page.wait_for_timeout(400)
            save(page, IMAGES / f"document-{lang}.png")
            page.goto("/roadmap")
            expect(page.locator("li[data-task]").first).to_be_visible()
            page.wait_for_timeout(600)
            save(page, IMAGES / f"roadmap-{lang}.png")
        with window(browser, url, Guise(lang, 1280, 800, "dark")) as page:
            page.goto("/chat")
            expect(page.locator("[data-example]").first).to_be_visible()
            page.wait_for_timeout(600)
            save(page, IMAGES / f"chat-{lang}.png")


PLAY = {
    "en": ("Who are you?", "Send to all", ("Tokens", "Request", "Response", "Code"), "Restart with options"),
    "zh": ("你是谁？", "全部发送", ("Token", "请求", "响应", "代码"), "带选项重启"),
}


def play(page: Page, folder: Path, guise: Guise) -> None:
    """The playground with answers, each of its tabs, two columns, and the options of a start."""
    question, send_all, tabs, options = PLAY[guise.lang]
    page.goto("/playground")
    page.locator("textarea[data-slash]").fill(question)
    page.locator("summary").nth(2).click()
    page.locator("aside input[type=checkbox]").check()
    page.locator("aside input[type=number]").first.fill("0")
    page.locator("textarea[data-slash]").press("Control+Enter")
    expect(page.locator("dl dd").first).to_be_visible(timeout=60_000)
    page.screenshot(path=folder / f"play-answer-{guise.name}.png")
    for tab in tabs:
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(500)
        page.get_by_role("tablist").scroll_into_view_if_needed()
        page.screenshot(path=folder / f"play-{tabs.index(tab)}-{guise.name}.png")
    page.goto("/playground?view=compare")
    page.get_by_role("button", name=send_all).click()
    expect(page.get_by_test_id("column-answer")).to_have_count(2, timeout=60_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / f"play-compare-{guise.name}.png", full_page=True)
    page.goto("/models")
    page.get_by_role("button", name=options).first.click()
    expect(page.get_by_test_id("memory")).to_be_visible()
    page.wait_for_timeout(400)
    page.screenshot(path=folder / f"start-{guise.name}.png")


def everything(browser: Browser, url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    kb = get(url, "/kbs")[0]["id"]
    document = get(url, f"/kbs/{kb}/documents")[0]["id"]
    conversation = get(url, "/conversations")[0]["id"]
    pages = {
        "welcome": "/chat",
        "chat": f"/chat/{conversation}",
        "knowledge": "/knowledge",
        "documents": f"/knowledge/{kb}?tab=documents",
        "search": f"/knowledge/{kb}?tab=search&q=年假",
        "traces": f"/knowledge/{kb}?tab=traces",
        "document": f"/knowledge/{kb}/documents/{document}?start=20&end=80&quote=30-50",
        "models": "/models",
        "pull": "/models?do=pull",
        "model": "/models/zhilu-nano",
        "playground": "/playground",
        "compare": "/playground?view=compare",
        "jobs": "/jobs",
        "roadmap": "/roadmap",
        "task": "/roadmap/0.1",
        "settings": "/settings",
        "nowhere": "/nowhere",
    }
    for guise in [
        Guise(lang, w, h, theme) for lang in TEXTS for w, h in ((1440, 900), (390, 844)) for theme in ("light", "dark")
    ]:
        with window(browser, url, guise) as page:
            for name, path in pages.items():
                page.goto(path)
                page.wait_for_timeout(1200)
                page.screenshot(path=folder / f"{name}-{guise.name}.png")
            ask_all(page, url, guise.lang)
            page.screenshot(path=folder / f"ask-{guise.name}.png")
            play(page, folder, guise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page in every guise")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, browser_at() as browser:
        files = Path(scratch) / "files"
        files.mkdir()
        with run_product(Path(scratch) / "home") as url:
            for lang in TEXTS:
                fill(browser, url, lang, files)
            check_gates(url)
            if args.all:
                everything(browser, url, args.all)
            else:
                readme(browser, url)


if __name__ == "__main__":
    main()
