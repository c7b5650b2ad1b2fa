from __future__ import annotations

import pytest

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.registry import Registry


def test_values_are_imported_when_asked_for() -> None:
    registry: Registry[object] = Registry(T("thing", "东西"))
    registry.add("dumps", "json:dumps")
    registry.add("missing", "no_such_module_anywhere:x")
    import json

    assert registry.get("dumps") is json.dumps
    assert registry.names() == ["dumps", "missing"]
    with pytest.raises(ModuleNotFoundError):
        registry.get("missing")


def test_an_unknown_name_says_what_there_is() -> None:
    registry: Registry[int] = Registry(T("engine", "引擎"))
    registry.add("zhilu", 1)
    with pytest.raises(NotFoundError) as caught:
        registry.get("zhiluu")
    assert caught.value.message == T(
        "No engine called 'zhiluu'. Did you mean 'zhilu'?", "没有名为 'zhiluu' 的引擎。是不是 'zhilu'？"
    )
    with pytest.raises(NotFoundError, match="There are: zhilu"):
        registry.get("vllm")
