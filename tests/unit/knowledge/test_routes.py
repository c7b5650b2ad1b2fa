"""``/zhilu/v1/knowledge`` with a real session: who may do what, and nothing without one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from starlette.testclient import TestClient

from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.store import Ledger
from zhilu.context import Context
from zhilu.host.app import create_app
from zhilu.rag.kb import KnowledgeBase

from .conftest import PASSWORD

AT = "/zhilu/v1/knowledge"
Client = Callable[..., TestClient]


@pytest.fixture
def client(context: Context, people: People) -> Iterator[Client]:
    """``client("ann")``: signed in as ann, from this machine; without a name: nobody."""
    opened: list[TestClient] = []

    def make(name: str | None = None, address: str = "127.0.0.1") -> TestClient:
        made = TestClient(
            create_app(context, only=("knowledge",)), base_url="http://127.0.0.1:8642", client=(address, 5000)
        )
        opened.append(made)
        if name is not None:
            assert made.post(f"{AT}/sign-in", json={"name": name, "password": PASSWORD}).status_code == 200
        return made

    yield make
    for one in opened:
        one.close()


OPEN = {
    ("GET", "/me"),
    ("POST", "/sign-in"),
    ("POST", "/sign-out"),
    ("POST", "/set-up"),
    ("POST", "/oidc/begin"),
    ("POST", "/oidc/finish"),
}


def test_every_route_asks_for_a_session(client: Client, person: Callable[..., KnowledgePerson], people: People) -> None:
    """Read from the API's own description: a route that is added later is tested, too."""
    person("root", role="admin")
    nobody = client()
    paths = nobody.get("/zhilu/v1/openapi.json").json()["paths"]
    checked = 0
    for path, methods in paths.items():
        if not path.startswith(f"{AT}/"):
            continue
        for method in methods:
            if (method.upper(), path.removeprefix(AT)) in OPEN:
                continue
            answer = nobody.request(
                method, path.replace("{", "").replace("}", ""), json={} if method != "get" else None
            )
            assert answer.status_code == 401, (method, path, answer.status_code)
            checked += 1
    assert checked >= 20


def test_roles(
    client: Client, person: Callable[..., KnowledgePerson], fill: Callable[..., KnowledgeBase], people: People
) -> None:
    kb = fill("hr", {"pay.md": "# Pay\n\nThe night shift is paid 31 crowns.\n"})
    for name, role in (("ann", "reader"), ("ed", "editor"), ("root", "admin")):
        person(name, "hr", role=role)
    people.grant("hr", kb.id, who="test")
    wanted = {
        ("GET", "/documents"): (200, 200, 200), ("GET", "/reports/gaps"): (403, 200, 200),
        ("GET", "/reports/freshness"): (403, 200, 200), ("GET", "/reports/figures"): (403, 200, 200),
        ("POST", f"/kbs/{kb.id}/sync"): (403, 202, 202), ("GET", "/admin/people"): (403, 403, 200),
        ("GET", "/admin/audit"): (403, 403, 200), ("GET", "/admin/audit/export"): (403, 403, 200),
        ("DELETE", f"/kbs/{kb.id}/documents/nothing"): (403, 404, 404),
    }  # fmt: skip
    for at, name in enumerate(("ann", "ed", "root")):
        one = client(name)
        for (method, path), codes in wanted.items():
            assert one.request(method, AT + path).status_code == codes[at], (name, path)


def test_what_one_may_read(
    client: Client, person: Callable[..., KnowledgePerson], fill: Callable[..., KnowledgeBase], people: People
) -> None:
    hr, lab = (
        fill("hr", {"pay.md": "# Pay\n\nThe night shift is paid 31 crowns.\n"}),
        fill("lab", {"x.md": "# X\n\nZephyr.\n"}),
    )
    person("ann", "hr")
    people.grant("hr", hr.id, who="test")
    ann = client("ann")
    assert [d["name"] for d in ann.get(f"{AT}/documents").json()] == ["pay.md"]
    assert [kb["name"] for kb in ann.get(f"{AT}/me").json()["kbs"]] == ["hr"]
    [hit] = ann.post(f"{AT}/search", json={"query": "night shift"}).json()
    assert "31 crowns" in hit["text"] and "lexical" not in hit
    assert "31 crowns" in ann.get(f"{AT}/kbs/{hr.id}/documents/{hit['doc_id']}").json()["text"]
    hidden, missing = (
        ann.get(f"{AT}/kbs/{kb}/documents/{doc}") for kb, doc in ((lab.id, lab.documents()[0].id), (lab.id, "0" * 12))
    )
    assert hidden.status_code == missing.status_code == 404
    assert hidden.text.replace(lab.documents()[0].id, "") == missing.text.replace("0" * 12, "")
    people.change("ann", disabled=True, who="test")
    assert ann.get(f"{AT}/documents").status_code == 401


def test_the_first_account(client: Client) -> None:
    body = {"name": "root", "password": PASSWORD}
    assert client(address="192.0.2.4").post(f"{AT}/set-up", json=body).status_code == 403
    here = client()
    assert here.get(f"{AT}/me").json()["empty"] is True
    assert here.post(f"{AT}/set-up", json=body).json()["role"] == "admin"
    assert here.get(f"{AT}/me").json()["person"]["name"] == "root"
    assert here.post(f"{AT}/set-up", json={**body, "name": "eve"}).status_code == 409
    assert here.post(f"{AT}/sign-out").status_code == 204 and here.get(f"{AT}/me").json()["person"] is None


def test_an_admin_at_work(
    client: Client, person: Callable[..., KnowledgePerson], fill: Callable[..., KnowledgeBase], ledger: Ledger
) -> None:
    kb = fill("hr", {"pay.md": "# Pay\n\nThe night shift is paid 31 crowns.\n"})
    person("root", role="admin")
    root = client("root")
    assert root.get(f"{AT}/documents").json() == []  # an admin reads nothing by being one
    group = root.post(f"{AT}/admin/groups", json={"name": "HR"}).json()
    assert root.post(f"{AT}/admin/groups/{group['id']}/leaves", json={"kb_id": "0" * 12}).status_code == 404
    root.post(f"{AT}/admin/groups/{group['id']}/leaves", json={"kb_id": kb.id, "folder": "a"})
    made = root.post(f"{AT}/admin/people", json={"name": "bo", "password": PASSWORD, "groups": ["HR"]})
    assert made.status_code == 201 and made.json()["groups"] == ["HR"]
    assert root.patch(f"{AT}/admin/people/{made.json()['id']}", json={"role": "editor"}).json()["role"] == "editor"
    assert root.request("DELETE", f"{AT}/admin/groups/{group['id']}/leaves/{kb.id}").json()["leaves"] == []
    page = root.get(f"{AT}/admin/audit").json()
    assert page["broken"] is None and {"leave.grant", "leave.revoke", "user.add"} <= {e["did"] for e in page["entries"]}
    assert len(root.get(f"{AT}/admin/audit/export").text.splitlines()) > 5
