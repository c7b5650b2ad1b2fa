"""The page of speech and pictures in a browser: what Kokoro spoke is dropped on it, and Whisper's transcript is read."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from tests.e2e.workbench import Watch, browser_at, chromium, run_product

from zhilu.media.found import has_extra

STATIC = Path(__file__).parents[2] / "src/zhilu/host/static/index.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(not STATIC.exists(), reason="the workbench is not built: make ui"),
]
# A file dropped on an element, as a person's hand does it.
DROP = """(target, [name, data]) => {
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
  for (const kind of ["dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
  }
}"""


@pytest.mark.skipif(
    not (has_extra("hear") and has_extra("speak")), reason='needs python -m pip install "zhilu[speech]"'
)
@pytest.mark.real_model
def test_a_dropped_sound_is_written_down(real_model: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "home/models").mkdir(parents=True)
    for name in ("whisper-base", "kokoro"):
        (tmp_path / "home/models" / name).symlink_to(real_model(name))
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        words = {"input": "The library opens at nine in the morning.", "response_format": "wav"}
        said = httpx.post(f"{url}/v1/audio/speech", json=words, trust_env=False, timeout=120).raise_for_status().content
        watching = Watch(browser, url)
        page = watching.page
        page.goto("/media")
        dropped = ["opening hours.wav", base64.b64encode(said).decode()]
        page.get_by_test_id("media-sound-drop").evaluate(DROP, dropped)
        told = page.get_by_test_id("media-recording")
        expect(told).to_contain_text(re.compile("library opens.* in the morning"), timeout=120_000)
        expect(told.get_by_role("heading", name="opening hours.wav")).to_be_visible()
        with page.expect_download() as saved:
            told.get_by_role("button", name="SRT").click()
        assert saved.value.suggested_filename == "opening hours.srt"
        assert "00:00:0" in Path(saved.value.path()).read_text(encoding="utf-8")
        told.get_by_role("button", name="Play from 0:00").click()
        expect(told.locator("audio")).to_have_js_property("error", None)
        page.wait_for_function("() => document.querySelector('audio').duration > 1")

        expect(page.get_by_role("button", name="Delete opening hours.wav")).to_be_enabled(timeout=30_000)
        page.get_by_role("button", name="Delete opening hours.wav").click()
        expect(page.get_by_text("Nothing was written down yet.")).to_be_visible()
        watching.close()


def test_what_is_missing_is_said_with_its_command(tmp_path: Path) -> None:
    with run_product(tmp_path / "home") as url, browser_at() as browser:
        watching = Watch(browser, url, lang="zh", width=390)
        page = watching.page
        for tab, title in (("listen", "还不能听写"), ("speak", "还不能朗读")):
            state = httpx.get(f"{url}/zhilu/v1/media", trust_env=False).json()["hear" if tab == "listen" else "speak"]
            if state["ready"]:  # espeak-ng is installed
                continue
            page.goto(f"/media/{tab}")
            expect(page.get_by_text(title)).to_be_visible()
            expect(page.get_by_text(state["fix"], exact=True)).to_be_visible()
        watching.close()
