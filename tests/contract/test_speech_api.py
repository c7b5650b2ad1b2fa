"""``/v1/audio``: OpenAI's own client, files of every kind, and what a stranger might send."""

from __future__ import annotations

import os
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.media.found import has_extra
from zhilu.media.worker import worker_of

needs_extra = pytest.mark.skipif(
    not (has_extra("hear") and has_extra("speak")), reason='needs python -m pip install "zhilu[speech]"'
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """One without any model."""
    with run_gateway(tmp_path_factory.mktemp("silent"), only=("serving", "media", "jobs")) as running:
        yield running


@pytest.fixture(scope="module")
def speaking(
    tmp_path_factory: pytest.TempPathFactory, real_model: Callable[..., Path]
) -> Iterator[tuple[RunningGateway, openai.OpenAI]]:
    home = tmp_path_factory.mktemp("speaking")
    (home / "models").mkdir()
    for name in ("whisper-base", "kokoro"):
        (home / "models" / name).symlink_to(real_model(name))
    with run_gateway(home, only=("serving", "media", "jobs")) as running:
        yield running, openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)
    worker_of("hear").close()
    worker_of("speak").close()


def _noise(path: Path, seconds: float = 1.0) -> Path:
    samples = (np.random.default_rng(1).normal(0, 300, int(16000 * seconds))).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(samples.tobytes())
    return path


def _post(gateway: RunningGateway, **form: Any) -> httpx.Response:
    return httpx.post(f"{gateway.url}/v1/audio/transcriptions", trust_env=False, timeout=120, **form)


def test_what_is_missing_is_named_with_its_command(gateway: RunningGateway, tmp_path: Path) -> None:
    heard = _post(gateway, files={"file": _noise(tmp_path / "a.wav").read_bytes()})
    said = httpx.post(f"{gateway.url}/v1/audio/speech", json={"input": "我"}, trust_env=False)
    for response in (heard, said):
        error = response.json()["error"]
        assert response.status_code in (400, 501) and error["messages"]["zh"]
        assert error["fix"].startswith(("zhilu model pull", "python -m pip install"))


@pytest.mark.parametrize(
    ("form", "status", "param"),
    [
        ({"files": {"file": b"x"}, "data": {"langage": "zh"}}, 400, "langage"),
        ({"files": {"file": b"x"}, "data": {"response_format": "docx"}}, 400, "response_format"),
        ({"files": {"file": b"x"}, "data": {"temperature": "hot"}}, 400, "temperature"),
        (
            {"files": {"file": b"x"}, "data": {"timestamp_granularities[]": ["syllable"]}},
            400,
            "timestamp_granularities.0",
        ),
        ({"files": {"sound": b"x"}}, 400, "sound"),
        ({"files": {"other": b""}, "data": {"file": "/etc/hostname"}}, 400, "file"),
        ({"files": [("file", b"x"), ("file", b"y")]}, 400, None),
        ({"json": {"file": "x"}}, 415, None),
        ({"content": b"--x\r\nbroken", "headers": {"content-type": "multipart/form-data; boundary=x"}}, 400, None),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 400, None),
    ],
)
def test_a_wrong_form_is_refused_by_name(
    gateway: RunningGateway, form: dict[str, Any], status: int, param: str | None
) -> None:
    response = _post(gateway, **form)
    assert response.status_code == status, response.text
    assert param is None or response.json()["error"]["param"] == param


def test_uploads_leave_nothing_behind(gateway: RunningGateway) -> None:
    _post(gateway, files={"file": b"x" * 3_000_000})
    assert not list(gateway.context.home.run.glob("upload-*"))


@needs_extra
@pytest.mark.real_model
def test_what_is_spoken_is_understood(speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path) -> None:
    _, client = speaking
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="The library opens at nine in the morning.", response_format="mp3"
    ) as response:
        assert response.headers["content-type"] == "audio/mpeg"
        response.stream_to_file(tmp_path / "said.mp3")
    with (tmp_path / "said.mp3").open("rb") as file:
        heard = client.audio.transcriptions.create(
            model="whisper-1", file=file, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
    assert "library" in heard.text.lower() and "morning" in heard.text.lower() and heard.language == "en"
    assert heard.words and heard.segments
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts) and starts[0] >= 0 and heard.words[-1].end <= heard.duration


@needs_extra
@pytest.mark.real_model
def test_chinese_comes_out_simplified_in_every_form(
    speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path
) -> None:
    _, client = speaking
    text = "今天的天气很好，我们一起去公园散步。"
    for kind in ("wav", "opus", "flac"):
        said = client.audio.speech.create(model="kokoro", voice="jf_alpha", input=text, response_format=kind).read()
        (tmp_path / f"said.{kind}").write_bytes(said)
    for kind, form in (("wav", "text"), ("opus", "srt"), ("flac", "vtt")):
        with (tmp_path / f"said.{kind}").open("rb") as file:
            heard = str(
                client.audio.transcriptions.create(model="whisper-base", file=file, response_format=form, language="zh")
            )
        assert "今天" in heard and "天气" in heard and not set("氣園們") & set(heard), heard
        assert ("-->" in heard) == (form != "text")


@needs_extra
@pytest.mark.real_model
def test_a_stream_ends_with_the_whole_text(speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path) -> None:
    _, client = speaking
    said = client.audio.speech.create(
        model="tts-1", voice="nova", input="Good morning, my friends.", response_format="wav"
    )
    (tmp_path / "said.wav").write_bytes(said.read())
    with (tmp_path / "said.wav").open("rb") as file:
        events = list(client.audio.transcriptions.create(model="whisper-1", file=file, stream=True))
    assert events[-1].type == "transcript.text.done" and "morning" in events[-1].text.lower()
    assert "".join(e.delta for e in events[:-1]).strip() == events[-1].text


@needs_extra
@pytest.mark.real_model
def test_silence_and_rubbish_are_told_apart(speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path) -> None:
    gateway, client = speaking
    with _noise(tmp_path / "noise.wav").open("rb") as file:
        assert client.audio.transcriptions.create(model="whisper-1", file=file).text == ""
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n#EXT-X-ENDLIST\n"
    for content in (b"", b"not a sound at all", os.urandom(5000), playlist, b"RIFF\xff\xff\xff\xffWAVEfmt "):
        response = _post(gateway, files={"file": ("a.wav", content)})
        assert response.status_code == 400 and response.json()["error"]["param"] == "file", response.text


@needs_extra
@pytest.mark.real_model
def test_the_gateway_outlives_its_worker(speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path) -> None:
    gateway, client = speaking
    sound = _noise(tmp_path / "noise.wav")
    assert _post(gateway, files={"file": sound.read_bytes()}).status_code == 200
    process = worker_of("hear")._process
    assert process is not None
    process.kill()
    process.wait()
    assert httpx.get(f"{gateway.url}/health", trust_env=False).status_code == 200
    with sound.open("rb") as file:
        assert client.audio.transcriptions.create(model="whisper-1", file=file).text == ""


@needs_extra
@pytest.mark.real_model
def test_a_recording_becomes_a_transcript_by_a_job(
    speaking: tuple[RunningGateway, openai.OpenAI], tmp_path: Path
) -> None:
    gateway, client = speaking
    said = client.audio.speech.create(
        model="tts-1", voice="nova", input="Good morning, my friends.", response_format="mp3"
    )
    base = f"{gateway.url}/zhilu/v1"
    with httpx.Client(trust_env=False, timeout=60) as http:
        assert http.get(f"{base}/media").json()["hear"]["model"] == "whisper-base"
        job = http.post(f"{base}/media/recordings", files={"file": ("说话 1.mp3", said.read())}).json()
        for _ in range(600):
            job = http.get(f"{base}/jobs/{job['id']}").json()
            if job["status"] in ("done", "failed"):
                break
            time.sleep(0.2)
        assert job["status"] == "done", job
        one = f"{base}/media/recordings/{job['params']['id']}"
        told = http.get(one).json()
        assert told["whole"] and told["name"] == "说话 1.mp3" and "morning" in told["text"].lower()
        assert told["segments"][0]["words"]
        assert "-->" in http.get(f"{one}/subtitles?format=srt").text
        assert http.get(f"{one}/sound").headers["content-type"] == "application/octet-stream"
        assert http.delete(one).status_code == 204 and http.get(one).status_code == 404
