"""What people take home runs: the back end of each template in a process of its own, against the real gateway with zhilu-nano."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.workbench import free_port, run_product, served_by

from zhilu.apps.product import products
from zhilu.apps.taking import take_home

pytestmark = pytest.mark.slow
NOTES = (
    "# Boats\n\nThe green boat is called Alma.\n\n| Boat | Length (m) |\n| --- | --- |\n| Alma | 12 |\n| Berta | 9 |\n"
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with run_product(tmp_path_factory.mktemp("gateway") / "home") as url:
        yield url


@pytest.fixture
def taken(request: pytest.FixtureRequest, gateway: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """The template of a product, running; a client of it."""
    folder = tmp_path / "mine"
    take_home(products().get(request.param), folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, "ZHILU_URL": gateway, "PYTHONDONTWRITEBYTECODE": "1"}
    argv = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
    with (
        served_by(argv, f"{url}/", env, tmp_path / "app.log", cwd=folder),
        httpx.Client(base_url=url, trust_env=False, timeout=120) as client,
    ):
        yield client


def last_event(body: str) -> tuple[str, Any]:
    name, data = body.strip().split("\n\n")[-1].split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.mark.parametrize("taken", products().names(), indirect=True)
def test_every_template_shows_its_page(taken: httpx.Client) -> None:
    page = taken.get("/")
    assert page.is_success and "text/html" in page.headers["content-type"] and "<script" in page.text


@pytest.mark.parametrize("taken", ["docqa"], indirect=True)
def test_documents_are_asked_through_their_template(taken: httpx.Client) -> None:
    assert taken.get("/health").is_success
    sent = taken.post("/api/documents", files=[("files", ("boats.md", NOTES.encode()))]).raise_for_status().json()
    doc = sent["documents"][0]["id"]
    for _ in range(300):
        if taken.get(f"/api/documents/{doc}").json()["status"] == "ready":
            break
        time.sleep(0.2)
    name, done = last_event(taken.post("/api/ask", json={"question": "What is the length of Berta?"}).text)
    assert (name, done["answer"]) == ("done", "Berta, Length (m): 9. [1]")
    name, done = last_event(taken.post("/api/ask", json={"question": "What is the green boat called?"}).text)
    assert name == "done" and "Alma" in done["answer"] and done["citations"][0]["doc_id"] == doc
    assert taken.get(f"/api/documents/{doc}/summary").json() == {"summary": None}
    assert taken.post(f"/api/documents/{doc}/summary").status_code == 202
    assert taken.delete(f"/api/documents/{doc}").status_code == 204


@pytest.mark.parametrize("taken", ["report"], indirect=True)
def test_tables_are_asked_through_their_template(taken: httpx.Client) -> None:
    source = taken.post("/api/samples/power").raise_for_status().json()
    assert source["id"] in {one["id"] for one in taken.get("/api/sources").json()}
    name, section = last_event(
        taken.post(f"/api/sources/{source['id']}/ask", json={"question": "How many sites?"}).text
    )
    assert name == "done" and section["status"] in ("answered", "unsure", "failed")
    assert taken.post("/api/sources/none/ask", json={"question": "?"}).status_code == 404
