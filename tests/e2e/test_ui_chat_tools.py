"""Tools in a conversation, in a browser on the real product: the plan, the steps, approvals that are changed and refused, a stop, a
gateway that is killed in the middle. Only the model is scripted, so that its plan is known."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, free_port, run_product, run_scripted_model

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]

PLAN = {"plan": [{"tool": "list_files", "aim": "see what is there"}, {"tool": "write_file", "aim": "note the milk"}]}
# By what stands in the request, the first that fits: a call's arguments, the end, the plan, whether tools are needed at all.
REPLIES: list[tuple[list[str], str]] = [
    (["Next step: call list_files"], '{"pattern": "*"}'),
    (["Next step: call write_file"], json.dumps({"path": "shopping.txt", "content": "milk"})),
    (["Is all of the task done?", "did not allow"], '{"answer": "You did not want it, so nothing was written."}'),
    (["Is all of the task done?"], '{"answer": "The milk is noted."}'),
    (["a plan, which is the calls"], json.dumps(PLAN)),
    (["Which one does the user's message need?", "Hello dear"], '{"tool": "none"}'),
    (["Which one does the user's message need?"], '{"tool": "files"}'),
    (["Hello dear"], "Good evening to you."),
]


def send(page: Page, text: str) -> None:
    field = page.get_by_role("textbox", name="Ask something…")
    field.fill(text)
    expect(page.get_by_role("button", name="Send")).to_be_enabled(timeout=60_000)
    field.press("Enter")


def give_folder(page: Page, folder: Path) -> None:
    page.get_by_test_id("chat-tools").click()
    page.get_by_role("button", name="Add a tool").click()
    page.get_by_role("menuitem", name="files:FOLDER").click()
    page.get_by_label("Which: files:FOLDER").fill(str(folder))
    page.keyboard.press("Escape")


def test_tools_work_in_a_conversation_and_ask_before_they_write(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "old.txt").write_text("bread", encoding="utf-8")
    with (
        run_scripted_model(tmp_path, replies=REPLIES) as model,
        run_product(tmp_path / "home", base_url=model, embedder="none") as url,
        browser_at() as browser,
    ):
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/chat")
        give_folder(page, folder)

        send(page, "Hello dear")
        expect(page.locator("article[aria-busy]").last).to_contain_text("Good evening to you.")
        expect(page.get_by_test_id("steps")).to_have_count(0)

        send(page, "Please note the milk")
        card = page.get_by_test_id("approval")
        expect(card).to_contain_text("May it use write_file?", timeout=60_000)
        assert not (folder / "shopping.txt").exists()
        page.reload()  # the question waits for an answer wherever it is looked at
        card.get_by_role("button", name="Change…").click()
        card.get_by_label("content").fill("oat milk")
        card.get_by_role("button", name="Allow what I wrote").click()
        answer = page.locator("article[aria-busy]").last
        expect(answer).to_contain_text("The milk is noted.", timeout=60_000)
        assert (folder / "shopping.txt").read_text(encoding="utf-8") == "oat milk"
        steps = answer.get_by_test_id("steps")
        expect(steps).to_contain_text("Plan: 2 steps")
        steps.get_by_text("write_file", exact=True).last.click()
        expect(steps).to_contain_text("What you put instead")

        (folder / "shopping.txt").unlink()
        send(page, "Please note the milk once more")
        card.get_by_label("Reason").fill("not today")
        card.get_by_role("button", name="Refuse").click()
        expect(page.locator("article[aria-busy]").last).to_contain_text("nothing was written", timeout=60_000)
        assert not (folder / "shopping.txt").exists()

        send(page, "Please note the milk a third time")
        expect(card).to_be_visible(timeout=60_000)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("article[aria-busy]").last).to_contain_text("Stopped by you")
        time.sleep(1)
        assert not (folder / "shopping.txt").exists()

        told = httpx.get(f"{url}/zhilu/v1/conversations/export?format=html", trust_env=False).text
        assert "write_file" in told and "oat milk" in told and "<script" not in told
        watching.close()


def test_work_that_waits_outlives_the_gateway(tmp_path: Path) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    port, home = free_port(), tmp_path / "home"
    home.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    env |= {"ZHILU_HOME": str(home), "ZHILU_STARTER": "none", "ZHILU_TORCH": "none", "ZHILU_EMBEDDER": "none"}
    argv = [sys.executable, "-m", "zhilu", "up", "--no-open", "--port", str(port)]
    http = httpx.Client(base_url=f"http://127.0.0.1:{port}/zhilu/v1", trust_env=False, timeout=30)

    def up() -> subprocess.Popen[bytes]:
        with (tmp_path / "up.log").open("ab") as log:
            process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while True:
            with suppress(httpx.HTTPError):
                http.get("/conversations").raise_for_status()
                return process
            assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "up.log").read_text()
            time.sleep(0.1)

    def answer_of(chat: str, wanted: str) -> dict[str, object]:
        deadline = time.monotonic() + 90
        while True:
            last: dict[str, object] = http.get(f"/conversations/{chat}").json()["messages"][-1]
            steps = last["steps"]
            assert isinstance(steps, list)
            if wanted in [last["status"], *(step["state"] for step in steps)]:
                return last
            assert time.monotonic() < deadline, last
            time.sleep(0.2)

    with run_scripted_model(tmp_path, replies=REPLIES) as model:
        env["ZHILU_BASE_URL"] = model
        process = up()
        chat = http.post("/conversations", json={"tools": [f"files:{folder}"]}).json()["id"]
        with http.stream(
            "POST", f"/conversations/{chat}/turn", json={"content": "Note the milk", "keep": True}
        ) as turn:
            next(turn.iter_lines())
        waiting = answer_of(chat, "waiting")
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = up()
        try:
            assert answer_of(chat, "waiting")["status"] == "streaming"
            call = next(step for step in waiting["steps"] if step["state"] == "waiting")["id"]  # type: ignore[attr-defined]
            answered = http.post(f"/agents/runs/{waiting['run_id']}/calls/{call}", json={"allowed": True})
            assert answered.status_code == 200, answered.text
            done = answer_of(chat, "complete")
            assert done["content"] == "The milk is noted."
            assert (folder / "shopping.txt").read_text(encoding="utf-8") == "milk"
        finally:
            process.terminate()
            process.wait(30)
            http.close()


def test_a_conversation_answers_from_the_web_and_a_question_that_points_back_is_searched_for_with_its_opening(
    tmp_path: Path,
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "hours.md").write_text(
        "# Museum\n\nThe city museum opens at nine in the morning.\n\n## Tickets\nA ticket for adults costs twelve euros.\n",
        encoding="utf-8",
    )
    with (
        run_scripted_model(tmp_path) as model,
        run_product(tmp_path / "home", base_url=model, embedder="none", web_search="site", web_folder=str(site)) as url,
        httpx.Client(base_url=f"{url}/zhilu/v1", trust_env=False, timeout=60) as http,
    ):
        chat = http.post("/conversations", json={"web": True}).json()["id"]
        parent = None
        for question, found in (
            ("When does the city museum open in the morning?", "opens at nine"),
            ("And what does a ticket for adults cost there?", "twelve euros"),
        ):
            turn = http.post(f"/conversations/{chat}/turn", json={"content": question, "parent_id": parent}).text
            assert "event: searched" in turn and "event: done" in turn
            answer = http.get(f"/conversations/{chat}").json()["messages"][-1]
            parent = answer["id"]
            cited = [one for one in answer["citations"] if one["cited"]]
            assert cited and cited[0]["url"].endswith("hours.md") and found in answer["content"]
