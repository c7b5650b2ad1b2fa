from __future__ import annotations

import re

import pytest

from zhilu import errors
from zhilu.errors import InputError, NotFoundError, ZhiluError, error_body, mask_passwords, nearest
from zhilu.messages import T

CLASSES = [getattr(errors, name) for name in errors.__all__ if name[0].isupper()]


@pytest.mark.parametrize("cls", CLASSES)
def test_the_tree_in_the_docstring_is_the_tree(cls: type[ZhiluError]) -> None:
    line = re.search(rf"{cls.__name__}\s+exit (\d)\s+http (\d+)", errors.__doc__ or "")
    assert line, f"{cls.__name__} is missing from the drawing"
    assert (int(line[1]), int(line[2])) == (cls.exit_code, cls.http_status)


def test_body_is_openai_shaped_and_bilingual() -> None:
    error = NotFoundError(T("no model 'x'", "没有模型 'x'"), param="model", fix="zhilu model list")
    body = error_body(error, "zh")["error"]
    assert body["message"] == "没有模型 'x'"
    assert body["messages"] == {"en": "no model 'x'", "zh": "没有模型 'x'"}
    assert (body["type"], body["param"], body["code"], body["fix"]) == (
        "invalid_request_error",
        "model",
        "not_found",
        "zhilu model list",
    )


def test_internal_errors_are_not_blamed_on_the_caller() -> None:
    assert error_body(ZhiluError("boom"))["error"]["type"] == "internal_error"
    assert error_body(InputError("bad"))["error"]["type"] == "invalid_request_error"


def test_nearest() -> None:
    assert nearest("temprature", ["temperature", "top_p"]) == "temperature"
    assert nearest("zzz", ["temperature"]) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at https://u:p@h/v1: refused", "at https://***@h/v1: refused"),
        ("https://u:p%40q@h", "https://***@h"),
        ("https://u:p@q@h/x", "https://***@h/x"),
        ("https://token@h, https://h/a@b and http://h?q=a@b", "https://***@h, https://h/a@b and http://h?q=a@b"),
        ("postgresql+psycopg://u:p@h/db", "postgresql+psycopg://***@h/db"),
        ("nothing to hide: a@b", "nothing to hide: a@b"),
    ],
)
def test_passwords_of_urls_are_masked(text: str, shown: str) -> None:
    assert mask_passwords(text) == shown
    body = error_body(ZhiluError(T(text, text), fix=text))["error"]
    assert shown in (body["message"], body["fix"]) and body["messages"] == {"en": shown, "zh": shown}
