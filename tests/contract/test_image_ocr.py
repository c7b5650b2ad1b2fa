"""Pictures for a model that cannot see: refused by name, or read by OCR where the request or the setting says so."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.contract.gateway_server import RunningGateway, run_gateway

from zhilu.engine.testing import make_tiny_model
from zhilu.models.ocr import find_ocr
from zhilu.serving.api.pictures import IMAGE_OCR, MOST_PICTURES

pytestmark = pytest.mark.skipif(find_ocr() is None, reason="no OCR on this machine")
CHAT = "/v1/chat/completions"


def picture(*lines: str) -> str:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (640, 60 + 70 * len(lines)), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(image).text((30, 30 + 70 * number), line, "black", font=ImageFont.load_default(44))
    out = io.BytesIO()
    image.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def asked(*urls: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    parts.append({"type": "text", "text": "What does it cost?"})
    return {"model": "tiny", "max_tokens": 2, "temperature": 0, "messages": [{"role": "user", "content": parts}]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    home = tmp_path_factory.mktemp("gateway")
    (home / "models").mkdir()
    make_tiny_model(home / "models" / "tiny")
    with run_gateway(home, {"model": "tiny"}) as running:
        yield running


@pytest.fixture
def http(gateway: RunningGateway) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=600.0, trust_env=False) as client:
        yield client


def test_a_picture_is_refused_by_name_unless_somebody_opted_in(gateway: RunningGateway, http: httpx.Client) -> None:
    body = asked(picture("TOTAL 10.75"))
    refused = http.post(CHAT, json=body)
    assert refused.status_code == 400 and refused.json()["error"]["code"] == "unsupported_parameter"
    read = http.post(CHAT, json=body, headers={IMAGE_OCR: "1"})
    assert read.status_code == 200 and read.headers[IMAGE_OCR] == "1", read.text
    bare = http.post(CHAT, json={**body, "messages": [{"role": "user", "content": "What does it cost?"}]})
    assert (
        read.json()["usage"]["prompt_tokens"] > bare.json()["usage"]["prompt_tokens"] + 10
    )  # its text reached the engine


def test_ollamas_and_anthropics_clients_opt_in_the_same_way(http: httpx.Client) -> None:
    data = picture("TOTAL 10.75").partition(",")[2]
    options = {"num_predict": 2, "temperature": 0}
    chat: dict[str, Any] = {"model": "tiny", "stream": False, "options": options}
    chat["messages"] = [{"role": "user", "content": "What does it cost?", "images": [data]}]
    generate = {**chat, "prompt": "What does it cost?", "images": [data]}
    del generate["messages"]
    source = {"type": "base64", "media_type": "image/png", "data": data}
    blocks = [{"type": "image", "source": source}, {"type": "text", "text": "What does it cost?"}]
    message = {"model": "tiny", "max_tokens": 2, "messages": [{"role": "user", "content": blocks}]}
    for path, body, place, tokens in (
        ("/api/chat", chat, "messages.0.images", "prompt_eval_count"),
        ("/api/generate", generate, "images", "prompt_eval_count"),
        ("/v1/messages", message, "messages.0.content.0", None),
    ):
        refused = http.post(path, json=body)
        told = refused.json()["error"]
        assert refused.status_code == 400 and "pictures in messages" in str(told), refused.text
        assert tokens is not None or told["details"]["param"] == place
        read = http.post(path, json=body, headers={IMAGE_OCR: "1"})
        assert read.status_code == 200 and read.headers[IMAGE_OCR] == "1", read.text
        if tokens is None:
            counted = http.post("/v1/messages/count_tokens", json=body, headers={IMAGE_OCR: "1"}).json()["input_tokens"]
            used = read.json()["usage"]
            assert counted == used["input_tokens"] + used["cache_read_input_tokens"]
        else:
            counted = read.json()[tokens]
        assert counted > 40  # its text reached the engine: the question alone is half of it


@pytest.mark.slow
def test_the_setting_the_stream_and_another_api(gateway: RunningGateway, http: httpx.Client) -> None:
    body = asked(picture("TOTAL 10.75"))
    gateway.context.settings = gateway.context.settings.model_copy(update={"image_ocr": True})
    try:
        stream = http.post(CHAT, json={**body, "stream": True})
        assert stream.headers[IMAGE_OCR] == "1" and "data: [DONE]" in stream.text
        assert http.post(CHAT, json=body, headers={IMAGE_OCR: "0"}).status_code == 400
        parts = [{"type": "input_image", "image_url": picture("TOTAL 10.75"), "detail": "auto"}]
        message = {"role": "user", "content": [*parts, {"type": "input_text", "text": "What does it cost?"}]}
        said = http.post(
            "/v1/responses", json={"model": "tiny", "input": [message], "max_output_tokens": 16, "store": False}
        )
        assert said.status_code == 200 and said.headers[IMAGE_OCR] == "1", said.text
    finally:
        gateway.context.settings = gateway.context.settings.model_copy(update={"image_ocr": False})


@pytest.mark.parametrize(
    ("urls", "status", "code"),
    [
        (["https://example.org/a.png"], 400, "not_an_image"),
        (["data:image/svg+xml;base64,PHN2Zy8+"], 400, "not_an_image"),
        (["data:image/png;base64,%%%"], 400, "not_an_image"),
        (["BLANK"], 400, "nothing_to_read"),
        (["TOTAL"] * (MOST_PICTURES + 1), 413, None),
    ],
)
def test_the_limits_are_told(urls: list[str], status: int, code: str | None, http: httpx.Client) -> None:
    made = {"BLANK": picture(" "), "TOTAL": picture("TOTAL 10.75")}
    reply = http.post(CHAT, json=asked(*(made.get(url, url) for url in urls)), headers={IMAGE_OCR: "1"})
    assert reply.status_code == status, reply.text
    assert code is None or reply.json()["error"]["code"] == code
