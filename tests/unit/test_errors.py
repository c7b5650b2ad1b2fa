from __future__ import annotations

import re

import pytest

from zhilu import errors
from zhilu.errors import InputError, NotFoundError, ZhiluError, error_body, nearest
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
