"""The keys of search providers: ``web.json`` in the data home, readable by its owner alone; never listed, logged or traced."""

from __future__ import annotations

import json
import os

from zhilu.errors import DamagedError
from zhilu.home import Home, atomic_write, file_lock
from zhilu.messages import T

__all__ = ["WebKeys"]


class WebKeys:
    """Reads the file at each call: another process may have changed it."""

    def __init__(self, home: Home) -> None:
        self.path = home.path / "web.json"
        self._lock = home.run / "web.lock"

    def get(self, provider: str) -> str | None:
        """
        Raises:
            DamagedError: the file cannot be read.
        """
        return self._read().get(provider)

    def names(self) -> list[str]:
        """Providers that have a key here."""
        return sorted(self._read())

    def set(self, provider: str, key: str | None) -> None:
        """Keep a key; None forgets it."""
        with file_lock(self._lock):
            keys = {name: value for name, value in self._read().items() if name != provider}
            if key:
                keys[provider] = key
            atomic_write(self.path, json.dumps({"keys": keys}))
            os.chmod(self.path, 0o600)

    def _read(self) -> dict[str, str]:
        try:
            return {str(k): str(v) for k, v in json.loads(self.path.read_text(encoding="utf-8"))["keys"].items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(  # without the error's words: they could quote the file
                T(
                    f"The file of search keys {str(self.path)!r} cannot be read ({type(error).__name__}).",
                    f"搜索密钥文件 {str(self.path)!r} 无法读取（{type(error).__name__}）。",
                ),
                fix=f"mv {self.path} {self.path}.damaged && zhilu web key NAME",
            ) from None
