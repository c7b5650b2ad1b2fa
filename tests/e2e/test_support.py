"""The widget on another site in a real browser: refused until the site is listed, then a conversation with a person in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import ConsoleMessage, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
]
SUPPORT = "/zhilu/v1/support"


@contextmanager
def shop(body: str, policy: str) -> Iterator[str]:
    """A site of its own with one page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_page = self.path == "/"
            payload = f"<!doctype html><title>Shop</title><h1>Shop</h1>{body}".encode() if is_page else b""
            self.send_response(200 if is_page else 204)
            self.send_header("content-type", "text/html")
            self.send_header("content-security-policy", policy)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """No model answers: what is asked here is decided by rules and tables."""
    with run_product(tmp_path_factory.mktemp("up") / "home", base_url="http://127.0.0.1:9/v1") as url:
        yield url


def make_desk(gateway: str, name: str) -> tuple[httpx.Client, str]:
    client = httpx.Client(base_url=f"{gateway}{SUPPORT}", trust_env=False, timeout=30)
    desk = client.post("/desks", json={"name": name}).raise_for_status().json()["id"]
    faq = {"questions": ["Do you wrap presents?"], "answers": {"en": "Yes: <b>for free</b>."}}
    client.post(f"/desks/{desk}/faqs", json=faq).raise_for_status()
    return client, str(desk)


def test_a_foreign_page_is_refused_until_its_site_is_listed(gateway: str) -> None:
    client, desk = make_desk(gateway, "widget")
    body = f'<script src="{gateway}/support/widget.js" data-desk="{desk}" data-lang="en" data-open></script>'
    # what a careful site allows itself: no inline styles, no script but these
    policy = f"default-src 'none'; script-src {gateway}; connect-src {gateway}"
    with shop(body, policy) as site, browser_at() as browser:
        said: list[str] = []
        page = browser.new_page()
        page.on("console", lambda message: said.append(_text(message)))
        page.goto(site)
        widget = page.locator("[data-zhilu-support]")
        expect(widget.get_by_text("cannot be reached")).to_be_visible()
        for path in (f"{SUPPORT}/desks", f"{SUPPORT}/widget/{desk}/desk", "/zhilu/v1/settings", "/v1/models"):
            assert page.evaluate("u => fetch(u).then(() => 'read', () => 'refused')", gateway + path) == "refused", path
        assert any("CORS" in line for line in said)
        assert client.get("/contacts").json() == []

        settings = {"settings": {"origins": [site], "greeting": "Welcome to the shop."}}
        client.patch(f"/desks/{desk}", json=settings).raise_for_status()
        said.clear()
        page.reload()
        expect(widget.get_by_text("Welcome to the shop.")).to_be_visible()
        assert widget.locator(".panel").evaluate("e => getComputedStyle(e).position") == "fixed", (
            "styled under the policy"
        )
        for path in (f"{SUPPORT}/desks", f"{SUPPORT}/contacts", "/zhilu/v1/settings", "/v1/models"):
            assert page.evaluate("u => fetch(u).then(() => 'read', () => 'refused')", gateway + path) == "refused", path
        said.clear()

        box = widget.get_by_role("textbox")
        box.fill("do you wrap presents")
        box.press("Enter")
        expect(widget.get_by_text("Yes: <b>for free</b>.")).to_be_visible()  # as text
        box.fill("I want to talk to a human")
        box.press("Enter")
        expect(widget.get_by_text("handed you over")).to_be_visible()
        ticket = client.get("/contacts", params={"status": "waiting"}).json()[0]
        assert ticket["origin"] == site and ticket["last"] == "I want to talk to a human"
        client.post(f"/contacts/{ticket['id']}/take", json={"agent": "Wei"}).raise_for_status()
        expect(widget.get_by_text("Wei is here now.")).to_be_visible()
        client.post(f"/contacts/{ticket['id']}/reply", json={"text": "<img src=x onerror=alert(1)>"}).raise_for_status()
        expect(widget.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
        page.reload()  # the conversation goes on
        expect(widget.get_by_text("Wei is here now.")).to_be_visible()
        client.post(f"/contacts/{ticket['id']}/close").raise_for_status()
        widget.get_by_role("button", name="4 of 5").click()
        expect(widget.get_by_text("Thank you!")).to_be_visible()
        assert client.get(f"/contacts/{ticket['id']}").json()["contact"]["rating"] == 4
        assert said == [], "nothing is wrong in the console"
    client.close()


@pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui")
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_person_answers_on_the_page_of_the_queue(gateway: str, lang: str) -> None:
    client, desk = make_desk(gateway, f"queue {lang}")
    opened = client.post(f"/widget/{desk}/contacts").json()
    at, headers = f"/widget/{desk}/contacts/{opened['id']}", {"X-Zhilu-Contact": opened["secret"]}
    words = {"en": ("Your name", "Take it", "Send", "ended"), "zh": ("您的名字", "接入", "发送", "已结束")}[lang]
    with browser_at() as browser:
        watching = Watch(browser, gateway, lang=lang)
        page = watching.page
        page.goto("/support/queue")
        client.post(f"{at}/messages", json={"text": "转人工"}, headers=headers).raise_for_status()
        page.get_by_test_id("ticket").filter(has_text="转人工").click()  # it came without a reload
        page.get_by_placeholder(words[0]).fill("Wei")
        page.get_by_role("button", name=words[1]).click()
        reply = page.get_by_placeholder({"en": "Answer the customer", "zh": "回复顾客"}[lang])
        reply.fill("您好，我是小魏。")
        page.get_by_role("button", name=words[2]).click()
        expect(page.get_by_role("log").get_by_text("您好，我是小魏。")).to_be_visible()
        client.post(f"{at}/messages", json={"text": "可以退货吗"}, headers=headers).raise_for_status()
        expect(page.get_by_role("log").get_by_text("可以退货吗")).to_be_visible()
        seen = client.get(at, headers=headers).json()
        assert [line["role"] for line in seen["lines"]][-2:] == ["agent", "customer"] and seen["status"] == "taken"
        page.get_by_role("button", name={"en": "End the conversation", "zh": "结束对话"}[lang]).click()
        expect(page.get_by_role("log").get_by_text(words[3], exact=True)).to_be_visible()
        watching.close()
    client.close()


@pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui")
def test_a_desk_is_made_and_tried_on_the_page(gateway: str) -> None:
    with browser_at() as browser:
        watching = Watch(browser, gateway)
        page = watching.page
        page.goto("/support")
        page.get_by_role("button", name="New desk").click()
        page.get_by_role("dialog").get_by_role("button", name="Sample shop").click()
        expect(page.get_by_role("dialog")).not_to_be_visible()
        box = page.get_by_test_id("support-message")
        for text, answer in (
            ("How do I return something?", "You may return anything unused"),
            ("where is my order", "What is your order number?"),
            ("LH-20413", "last four digits"),
            ("0123", "JD0146003412"),
        ):
            box.fill(text)
            box.press("Enter")
            expect(page.get_by_role("log").get_by_text(answer)).to_be_visible()
        page.get_by_role("tab", name="Canned answers").click()
        page.get_by_role("button", name="Add an answer").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Questions it answers").fill("Do you repair zips?\nmy zip is broken")
        dialog.get_by_label("Answer in English").fill("Yes, within a week.")
        dialog.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Yes, within a week.")).to_be_visible()
        page.get_by_placeholder("Which answer would").fill("do you repair zips")
        page.get_by_role("button", name="Look").click()
        expect(page.get_by_text("answers at once").first).to_be_visible()
        page.get_by_role("tab", name="Orders").click()
        expect(page.get_by_label("name", exact=True)).not_to_be_checked()
        page.get_by_role("tab", name="Settings").click()
        sites = page.get_by_label("Sites that may show the widget")
        sites.fill("shop.example")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("not an origin")).to_be_visible()
        watching.errors.clear()  # the browser tells of the refusal
        sites.fill("https://shop.example/")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved")).to_be_visible()
        page.get_by_role("tab", name="Figures").click()
        expect(page.get_by_text("order table 3")).to_be_visible()
        watching.close()


def _text(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"
