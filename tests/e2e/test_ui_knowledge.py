"""The enterprise knowledge base in a browser: the first account, groups and leave, a person moved between groups, documents
added and deleted, the audit log saved; and a reader, who sees none of these."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]
PASSWORD = "a-long-password"


def _sign_in(page: Page, name: str, verb: str) -> None:
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=verb).click()


def test_an_admin_gives_leave_and_a_reader_sees_what_it_is_for(tmp_path: Path) -> None:
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        assert httpx.post(f"{url}/zhilu/v1/kbs", json={"name": "House"}, trust_env=False).status_code == 201
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/enterprise")
        _sign_in(page, "boss", "Make the first account")
        page.get_by_role("tab", name="People and leave").click()
        for group in ("staff", "guests"):
            page.get_by_label("Name of the group").fill(group)
            page.get_by_role("button", name="Add a group").click()
            expect(page.get_by_label("Put boss into a group").locator("option", has_text=group)).to_have_count(1)
        row = page.get_by_role("listitem").filter(has=page.get_by_role("button", name="Remove staff"))
        row.get_by_label("Knowledge base").select_option(label="House")
        row.get_by_role("button", name="Give leave").click()
        page.get_by_label("Put boss into a group").select_option(label="staff")
        expect(page.get_by_role("button", name="Take boss out of staff")).to_be_visible()
        page.get_by_label("User name").fill("guest")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Add a person").click()
        page.get_by_label("Put guest into a group").select_option(label="guests")

        page.get_by_role("tab", name="Documents").click()
        page.get_by_label("Add documents to House").set_input_files(
            [FilePayload(name="pool.md", mimeType="", buffer=b"# Pool\n\nThe pool opens at seven.\n")]
        )
        expect(page.get_by_text("Being read: pool.md")).to_be_visible()
        expect(page.get_by_role("button", name="Delete pool.md")).to_be_visible(timeout=30_000)

        page.get_by_role("tab", name="Audit log").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Export").click()
        entries = [json.loads(line) for line in Path(saved.value.path()).read_text().splitlines()]
        assert {"document.add", "audit.export"} <= {entry["did"] for entry in entries}

        page.get_by_role("button", name="Sign out").click()
        _sign_in(page, "guest", "Sign in")
        expect(page.get_by_role("tab")).to_have_count(2)
        page.get_by_role("tab", name="Documents").click()
        expect(page.get_by_text("Your groups may read nothing yet")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()

        _sign_in(page, "boss", "Sign in")
        page.get_by_role("tab", name="Documents").click()
        page.get_by_role("button", name="Delete pool.md").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        expect(page.get_by_text("pool.md")).to_have_count(0)
        watching.close()
