"""The template's back end, started by itself as its README says, against a gateway that really listens."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.apps.support.product import PRODUCT
from zhilu.apps.support.sample import make_sample
from zhilu.client import GATEWAY_FILE
from zhilu.process import mine


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("home") / "zhilu"
    with run_gateway(home, {"model": "zhilu-nano"}, only=("serving", "support")) as running:
        note = {"url": running.url, **mine().note()}  # as `zhilu up` leaves it: what is asked of a model is asked here
        (home / "run" / GATEWAY_FILE).write_text(json.dumps(note))
        yield running


@pytest.fixture(scope="module")
def page(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("taken") / "desk"
    shutil.copytree(PRODUCT.template, folder)
    make_sample(gateway.context)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    env = {**os.environ, "ZHILU_URL": gateway.url, "ZHILU_MODEL": "zhilu-nano"}
    argv = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(argv, cwd=folder, env=env)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as client:
            for _ in range(300):
                try:
                    client.get("/health").raise_for_status()
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def test_a_conversation_from_the_page_to_a_person(page: httpx.Client, gateway: RunningGateway) -> None:
    assert "app.js" in page.get("/").text
    desk = page.get("/health").json()["desk"]
    opened = page.post("/api/contacts").raise_for_status().json()
    at, headers = f"/api/contacts/{opened['id']}", {"X-Secret": opened["secret"]}

    def say(text: str) -> str:
        reply = page.post(f"{at}/messages", json={"text": text}, headers=headers).raise_for_status().json()
        return str(reply["lines"][-1]["text"])

    assert say("How do I return something?").startswith("You may return anything unused")
    assert "order number" in say("where is my order")
    assert "last four digits" in say("LH-20414")
    assert "JD0146009921" in say("0456")
    assert "ticket" in say("I want to talk to a human").lower()
    support = f"{gateway.url}/zhilu/v1/support"
    ticket = httpx.get(f"{support}/contacts", params={"desk": desk, "status": "waiting"}, trust_env=False).json()[0]
    httpx.post(f"{support}/contacts/{ticket['id']}/take", json={"agent": "Wei"}, trust_env=False).raise_for_status()
    httpx.post(
        f"{support}/contacts/{ticket['id']}/reply", json={"text": "Here I am."}, trust_env=False
    ).raise_for_status()
    with page.stream("GET", f"{at}/events", headers=headers) as events:
        for line in events.iter_lines():
            if "Here I am." in line:
                break
    assert page.post(f"{at}/close", headers=headers).json()["status"] == "closed"
    assert page.post(f"{at}/rating", json={"rating": 5}, headers=headers).json()["rating"] == 5
    stored = httpx.get(f"{support}/desks/{desk}", trust_env=False).json()
    assert stored["settings"]["model"] == "zhilu-nano", "ZHILU_MODEL became the desk's"
    assert page.post(f"{at}/messages", json={"text": "hi"}, headers={"X-Secret": "other"}).status_code == 403


def test_what_no_rule_decides_is_sorted_by_the_model_and_answered(page: httpx.Client) -> None:
    opened = page.post("/api/contacts").raise_for_status().json()
    text = {"text": "which of the two is nicer, tea or coffee, what do you think of it"}
    reply = page.post(f"/api/contacts/{opened['id']}/messages", json=text, headers={"X-Secret": opened["secret"]})
    lines = reply.raise_for_status().json()["lines"]
    assert lines[0]["role"] == "customer" and lines[-1]["role"] == "bot" and lines[-1]["text"]
