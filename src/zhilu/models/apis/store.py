"""The APIs a person added, with their keys: ``apis.json`` in the data home, readable by its owner alone.

A key is written here and nowhere else. Whoever lists APIs gets its last characters; the gateway alone reads it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone

from zhilu.errors import ConflictError, DamagedError, InputError, NotFoundError, nearest
from zhilu.home import Home, atomic_write, file_lock
from zhilu.messages import T

__all__ = ["Api", "ApiStore", "api_of"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


@dataclass(frozen=True)
class Api:
    """One API. Its models are called ``NAME/MODEL`` here.

    Attributes:
        root: what ``/chat/completions`` is put behind, as the test found it.
        models: those that menus offer; any other that it has is answered by its name all the same.
        preset: the name in ``presets.toml``, if it was added by one.
    """

    name: str
    root: str
    api_key: str | None = field(default=None, repr=False)
    models: tuple[str, ...] = ()
    preset: str | None = None
    added_at: str = ""

    def called(self) -> list[str]:
        """The offered models as requests name them."""
        return [f"{self.name}/{model}" for model in self.models]


class ApiStore:
    """Reads the file at each call: another process may have changed it.

    Raises (every method):
        DamagedError: the file cannot be read.
    """

    def __init__(self, home: Home) -> None:
        self.path = home.path / "apis.json"
        self._lock = home.run / "apis.lock"

    def list(self) -> list[Api]:
        """By name."""
        try:
            entries = json.loads(self.path.read_text(encoding="utf-8"))["apis"]
            found = [Api(**{**entry, "models": tuple(entry.get("models") or ())}) for entry in entries]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(  # without the error's words: they could quote the file
                T(
                    f"The file of APIs {str(self.path)!r} cannot be read ({type(error).__name__}).",
                    f"API 文件 {str(self.path)!r} 无法读取（{type(error).__name__}）。",
                ),
                fix=f"mv {self.path} {self.path}.damaged && zhilu model api add NAME",
            ) from None
        return sorted(found, key=lambda api: api.name)

    def get(self, name: str) -> Api:
        """
        Raises:
            NotFoundError: no such API; names those there are.
        """
        there = {api.name: api for api in self.list()}
        if name in there:
            return there[name]
        close = nearest(name, there)
        listed = ", ".join(there) or "-"
        raise NotFoundError(
            T(
                f"No API {name!r} was added." + (f" Did you mean {close!r}?" if close else f" There are: {listed}."),
                f"没有添加过 API {name!r}。" + (f"是不是 {close!r}？" if close else f"现有：{listed}。"),
            ),
            param="name",
            fix="zhilu model api list",
        )

    def find(self, model: str) -> tuple[Api, str] | None:
        """The API that ``NAME/MODEL`` leads to, and the model's name there; None where it leads to none."""
        name, slash, rest = model.partition("/")
        if not slash or not rest:
            return None
        return next(((api, rest) for api in self.list() if api.name == name), None)

    def check(self, name: str, *, replaces: bool = False) -> None:
        """
        Raises:
            InputError: the name cannot be used. ConflictError: it is taken, and ``replaces`` was not said.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                T(
                    f"The name {name!r} cannot be used: small letters, digits, dots and dashes, at most 40.",
                    f"名称 {name!r} 不能用：只能是小写字母、数字、点和短横线，最多 40 个字符。",
                ),
                param="name",
                fix="--name mine",
            )
        if not replaces and any(api.name == name for api in self.list()):
            raise ConflictError(
                T(f"There is an API {name!r} already.", f"已经有名为 {name!r} 的 API。"),
                param="name",
                fix=f"zhilu model api add {name} --replace",
            )

    def add(self, api: Api, *, replaces: bool = False) -> Api:
        """Keep it; raises what ``check`` raises."""
        kept = replace(api, added_at=datetime.now(timezone.utc).isoformat(timespec="seconds"))
        with file_lock(self._lock):
            self.check(api.name, replaces=replaces)
            self._write([*(one for one in self.list() if one.name != api.name), kept])
        return kept

    def remove(self, name: str) -> None:
        """Forget it and its key; NotFoundError where there is none."""
        self.get(name)
        with file_lock(self._lock):
            self._write([one for one in self.list() if one.name != name])

    def _write(self, apis: Iterable[Api]) -> None:
        atomic_write(self.path, json.dumps({"apis": [asdict(api) for api in apis]}, indent=1, ensure_ascii=False))
        os.chmod(self.path, 0o600)  # the temporary file had it from the start (mkstemp); said once more for all systems


def api_of(home: Home, model: str) -> Api | None:
    """The API behind a model's name, where the name has one; None also where the file is damaged."""
    try:
        found = ApiStore(home).find(model)
    except DamagedError:
        return None
    return found[0] if found else None
