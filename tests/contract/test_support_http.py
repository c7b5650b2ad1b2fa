"""A desk over HTTP: the workbench's side, the customer's, the people's; and that the widget's door opens nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.contract.test_public_routes import doors

from zhilu.context import Context, open_context
from zhilu.errors import UnreachableError
from zhilu.host.app import create_app
from zhilu.messages import T

SUPPORT = "/zhilu/v1/support"
SHOP = "https://shop.example"
EVIL = "https://evil.example"
KEY = "0123456789abcdef0123"


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[Context]:
    monkeypatch.setenv("ZHILU_BASE_URL", "http://127.0.0.1:9/v1")  # no model answers: what rules decide needs none
    context = open_context()
    yield context
    context.close()


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, only=("support",)), base_url="http://127.0.0.1:8642") as client:
        yield client


@pytest.fixture
def desk(client: TestClient) -> str:
    made = client.post(f"{SUPPORT}/desks/sample")
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def allow(client: TestClient, desk: str, *origins: str) -> None:
    changed = client.patch(f"{SUPPORT}/desks/{desk}", json={"settings": {"origins": list(origins)}})
    assert changed.status_code == 200, changed.text


class Customer:
    """A customer's page: it has the secret of its conversation."""

    def __init__(self, client: TestClient, desk: str, **headers: str) -> None:
        self.client, self.at = client, f"{SUPPORT}/widget/{desk}/contacts"
        opened = client.post(self.at, headers=headers)
        assert opened.status_code == 201, opened.text
        self.id = opened.json()["id"]
        self.headers = {**headers, "X-Zhilu-Contact": opened.json()["secret"]}

    def say(self, text: str) -> list[dict[str, Any]]:
        said = self.client.post(f"{self.at}/{self.id}/messages", json={"text": text}, headers=self.headers)
        assert said.status_code == 200, said.text
        return said.json()["lines"]  # type: ignore[no-any-return]

    def post(self, what: str, body: dict[str, Any] | None = None) -> Any:
        return self.client.post(f"{self.at}/{self.id}/{what}", json=body, headers=self.headers)


def test_from_question_to_ticket_to_rating(client: TestClient, desk: str) -> None:
    customer = Customer(client, desk)
    assert customer.say("怎么退货？")[-1]["text"].startswith("未使用的商品 30 天内")
    assert "order number" in customer.say("where is my order")[-1]["text"]
    assert "last four digits" in customer.say("LH-20413")[-1]["text"]
    told = customer.say("0123")[-1]["text"]
    assert "LH-20413" in told and "JD0146003412" in told and "Anna" not in told
    handed = customer.say("let me talk to a human")
    ticket = client.get(f"{SUPPORT}/contacts", params={"status": "waiting"}).json()[0]
    assert ticket["id"] == customer.id and ticket["reason"] == "asked"
    assert str(ticket["ticket"]) in handed[-1]["text"]
    assert [line["role"] for line in customer.say("hello? anyone?")] == ["customer"], "the bot keeps silent now"

    at = f"{SUPPORT}/contacts/{customer.id}"
    assert client.post(f"{at}/reply", json={"text": "hi"}).json()["error"]["code"] == "not_taken"
    assert client.post(f"{at}/take", json={"agent": "Wei"}).json()["status"] == "taken"
    assert client.post(f"{at}/take", json={"agent": "Ann"}).status_code == 409
    assert client.post(f"{at}/reply", json={"text": "Here I am."}).status_code == 201
    assert customer.post("rating", {"rating": 5}).status_code == 409, "it goes on"
    assert client.post(f"{at}/close").json()["status"] == "closed"
    assert customer.post("rating", {"rating": 6}).status_code == 400
    assert customer.post("rating", {"rating": 4, "remark": "quick"}).json()["rating"] == 4
    assert customer.post("rating", {"rating": 5}).status_code == 409, "once"
    assert customer.post("messages", {"text": "more"}).json()["error"]["code"] == "closed"
    history = client.get(at).json()
    assert [x["details"]["what"] for x in history["lines"] if x["role"] == "event"] == [
        "waiting",
        "taken",
        "closed",
        "rated",
    ]
    seen = client.get(f"{customer.at}/{customer.id}", headers=customer.headers).json()
    assert "Here I am." in [line["text"] for line in seen["lines"]] and "Wei" in json.dumps(seen)
    figures = client.get(f"{SUPPORT}/desks/{desk}/figures").json()
    assert (figures["num_contacts"], figures["num_alone"], figures["num_handed_over"]) == (1, 0, 1)
    assert (figures["satisfaction"], figures["ratings"]) == (4.0, [0, 0, 0, 1, 0])


def test_a_conversation_belongs_to_who_has_its_secret(client: TestClient, desk: str) -> None:
    mine, other = Customer(client, desk), Customer(client, desk)
    mine.say("怎么退货？")
    for secret in (other.headers["X-Zhilu-Contact"], "x", " "):
        headers = {"X-Zhilu-Contact": secret}
        assert client.get(f"{mine.at}/{mine.id}", headers=headers).status_code == 403
        said = client.post(f"{mine.at}/{mine.id}/messages", json={"text": "hi"}, headers=headers)
        assert said.status_code == 403 and said.json()["error"]["code"] == "wrong_secret"
        assert client.get(f"{mine.at}/{mine.id}/events", headers=headers).status_code == 403
    assert client.get(f"{mine.at}/{mine.id}").status_code == 400  # no secret at all
    assert client.get(f"{mine.at}/{'0' * 32}", headers=mine.headers).status_code == 403, "not told what is there"
    second = client.post(f"{SUPPORT}/desks", json={"name": "Another"}).json()["id"]
    elsewhere = f"{SUPPORT}/widget/{second}/contacts/{mine.id}"
    assert client.get(elsewhere, headers=mine.headers).status_code == 403, "of another desk"


def test_only_listed_sites_may_use_the_widget(client: TestClient, desk: str) -> None:
    at = f"{SUPPORT}/widget/{desk}"
    asks = {"Origin": SHOP, "Access-Control-Request-Method": "POST"}
    assert client.get(f"{at}/desk", headers={"Origin": SHOP}).status_code == 403
    assert "access-control-allow-origin" not in client.options(f"{at}/contacts", headers=asks).headers
    allow(client, desk, f"{SHOP}/", "http://127.0.0.1:9000")
    found = client.get(f"{at}/desk", headers={"Origin": SHOP})
    assert found.status_code == 200 and found.headers["access-control-allow-origin"] == SHOP
    assert found.headers["vary"] == "Origin" and "access-control-allow-credentials" not in found.headers
    before = client.options(f"{at}/contacts", headers=asks)
    assert before.status_code == 204 and before.headers["access-control-allow-origin"] == SHOP
    assert "x-zhilu-contact" in before.headers["access-control-allow-headers"]
    assert Customer(client, desk, Origin=SHOP).say("怎么退货？")[-1]["role"] == "bot"
    assert Customer(client, desk, Origin="http://127.0.0.1:9000").say("hi")
    refused = client.get(f"{at}/nothing", headers={"Origin": SHOP})  # an error is told to the page as well
    assert refused.status_code == 404 and refused.headers["access-control-allow-origin"] == SHOP
    for origin in (
        EVIL,
        "https://shop.example.evil.example",
        "http://shop.example",
        f"{SHOP}:444",
        "null",
        f"{SHOP}.",
        "*",
    ):
        answer = client.get(f"{at}/desk", headers={"Origin": origin})
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers, origin
        assert (
            "access-control-allow-origin"
            not in client.options(f"{at}/contacts", headers={**asks, "Origin": origin}).headers
        )
    other = client.post(f"{SUPPORT}/desks", json={"name": "Another"}).json()["id"]
    assert client.get(f"{SUPPORT}/widget/{other}/desk", headers={"Origin": SHOP}).status_code == 403, (
        "each desk its own"
    )


def test_origins_are_stored_as_browsers_send_them(client: TestClient, desk: str) -> None:
    allow(client, desk, "HTTPS://Shop.Example:443/", "http://localhost:3000", "http://[::1]:8080")
    stored = client.get(f"{SUPPORT}/desks/{desk}").json()["settings"]["origins"]
    assert stored == [SHOP, "http://localhost:3000", "http://[::1]:8080"]
    for wrong in (
        "*",
        "https://*.example",
        "shop.example",
        "https://shop.example/page",
        "https://u:p@shop.example",
        "file:///x",
    ):
        answer = client.patch(f"{SUPPORT}/desks/{desk}", json={"settings": {"origins": [wrong]}})
        assert answer.status_code == 400, wrong


def test_a_listed_site_reaches_the_widget_and_nothing_else(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every route of the composed application, as a page of the listed site would ask, on loopback and beyond it."""
    for host, key in (("127.0.0.1", None), ("0.0.0.0", KEY)):
        home = tmp_path_factory.mktemp("home") / "zhilu"
        settings = {"home": str(home), "host": host, **({"api_key": key} if key else {})}
        context = open_context(settings)
        app = create_app(context)
        mine = {"Authorization": f"Bearer {key}"} if key else {}
        client = TestClient(app, base_url="http://127.0.0.1:8642", raise_server_exceptions=False)
        desk = client.post(f"{SUPPORT}/desks", json={"name": "d"}, headers=mine).json()["id"]
        client.patch(f"{SUPPORT}/desks/{desk}", json={"settings": {"origins": [SHOP]}}, headers=mine)
        opened = 0
        for method, path in doors(app):
            path = path.replace("/widget/x/", f"/widget/{desk}/")
            headers = {"Origin": SHOP, "Content-Type": "text/plain"}
            answer = client.request(method, path, headers=headers, content=b"x" if method == "POST" else None)
            if path.startswith(f"{SUPPORT}/widget/"):
                opened += 1
                assert answer.headers["access-control-allow-origin"] == SHOP, (method, path)
                assert answer.status_code not in (401,), (method, path)
                continue
            assert "access-control-allow-origin" not in answer.headers, (method, path)
            if method != "HEAD":
                preflight = {"Origin": SHOP, "Access-Control-Request-Method": method}
                assert "access-control-allow-origin" not in client.options(path, headers=preflight).headers, path
            if method not in ("GET", "HEAD", "OPTIONS"):
                assert answer.status_code == 403, (method, path)
        assert opened >= 7
        for path in (
            f"{SUPPORT}/widget/{desk}/../../desks",
            f"{SUPPORT}/widget/{desk}/..%2f..%2fdesks",
            f"{SUPPORT}/widgets",
            f"{SUPPORT}/widget/",
        ):
            answer = client.get(path, headers={"Origin": SHOP})
            assert answer.status_code in (401, 403, 404), path
        context.close()


def test_the_script_is_for_every_page_and_needs_no_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home") / "zhilu"
    context = open_context({"home": str(home), "host": "0.0.0.0", "api_key": KEY})
    client = TestClient(create_app(context), base_url="http://box.example:8642")
    script = client.get("/support/widget.js", headers={"Sec-Fetch-Site": "cross-site"})
    assert script.status_code == 200 and script.headers["cross-origin-resource-policy"] == "cross-origin"
    assert script.headers["content-type"].startswith("text/javascript")
    assert "innerHTML" not in script.text and "insertAdjacentHTML" not in script.text
    assert client.post("/support/widget.js").status_code == 401
    context.close()


def test_desks_faqs_and_orders_are_edited(client: TestClient, desk: str) -> None:
    at = f"{SUPPORT}/desks/{desk}"
    faq = {
        "questions": ["Do you wrap presents?", " Do you  wrap presents? "],
        "answers": {"en": "Yes, for free.", "zh": ""},
    }
    added = client.post(f"{at}/faqs", json=faq).json()
    assert added["questions"] == ["Do you wrap presents?"] and added["answers"] == {"en": "Yes, for free."}
    found = client.post(f"{at}/faqs/match", json={"question": "do you wrap presents"}).json()
    assert found[0]["entry"]["id"] == added["id"] and found[0]["sure"]
    changed = client.put(f"{at}/faqs/{added['id']}", json={**faq, "answers": {"en": "No."}}).json()
    assert changed["answers"] == {"en": "No."}
    assert Customer(client, desk).say("Do you wrap presents?")[-1]["text"] == "No."
    assert client.get(f"{at}/faqs").json()[-1]["num_used"] == 1
    assert client.delete(f"{at}/faqs/{added['id']}").status_code == 204
    for wrong in (
        {"questions": [], "answers": {"en": "x"}},
        {"questions": ["x"], "answers": {}},
        {"questions": ["x"], "answers": {"fr": "x"}},
    ):
        assert client.post(f"{at}/faqs", json=wrong).status_code == 400, wrong
    table = "订单号,手机,商品,状态\nA1,13912345678,茶杯,已发货\n"
    put = client.put(f"{at}/orders", files={"file": ("orders.csv", table.encode("gb18030"))}).json()
    assert (put["num_rows"], put["chosen"]["number"], put["chosen"]["shown"]) == (1, "订单号", ["商品", "状态"])
    assert client.get(f"{at}/orders/a-1").json()["facts"] == {"商品": "茶杯", "状态": "已发货"}
    assert client.patch(f"{at}/orders", json={"shown": ["状态"]}).json()["chosen"]["shown"] == ["状态"]
    assert client.patch(f"{at}/orders", json={"shown": ["nothing"]}).status_code == 400
    no_number = client.put(f"{at}/orders", files={"file": ("x.csv", b"a,b\n1,2\n")})
    assert no_number.status_code == 400 and "order_no" in no_number.text
    assert client.get(f"{at}/orders").json()["num_rows"] == 1, "what was there stays"
    assert client.post(f"{SUPPORT}/desks/sample").status_code == 409
    assert client.delete(at).status_code == 204 and client.get(at).status_code == 404


def test_two_messages_at_once_and_a_model_that_is_gone(
    client: TestClient, desk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer = Customer(client, desk)
    client.patch(f"{SUPPORT}/desks/{desk}", json={"kb_id": "gone"})
    assert customer.say("how heavy is a zebra")[-1]["role"] == "bot", "a knowledge base that was deleted is none"

    async def unreachable(*_: Any, **__: Any) -> None:
        raise UnreachableError(T("No model.", "没有模型。"))

    monkeypatch.setattr("zhilu.apps.support.service.answer_turn", unreachable)
    told = customer.say("how heavy is the tent")[-1]
    assert told["role"] == "bot" and "Please ask again" in told["text"]
    assert "how heavy is the tent" in client.get(f"{SUPPORT}/desks/{desk}/figures").json()["unanswered"]
    monkeypatch.setattr("zhilu.apps.support.service._answering", {customer.id})
    busy = customer.post("messages", {"text": "and now?"})
    assert busy.status_code == 429 and "retry-after" in busy.headers
