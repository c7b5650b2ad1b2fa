"""The keys of sources that ask for one: ``sources.json`` in the data home, readable by its owner alone; never listed or logged."""

from __future__ import annotations

import json
import os

from zhilu.errors import DamagedError
from zhilu.home import Home, atomic_write, file_lock
from zhilu.messages import T

__all__ = ["SourceSecrets"]


class SourceSecrets:
    """By the address of the source. Reads the file at each call: another process may have changed it."""

    def __init__(self, home: Home) -> None:
        self.path = home.path / "sources.json"
        self._lock = home.run / "sources.lock"

    def get(self, address: str) -> tuple[str, str] | None:
        """``(name, key)``.

        Raises:
            DamagedError: the file cannot be read.
        """
        return self._read().get(address)

    def set(self, address: str, secret: tuple[str, str] | None) -> None:
        """Keep a key; None forgets it."""
        with file_lock(self._lock):
            known = {name: value for name, value in self._read().items() if name != address}
            if secret is not None:
                known[address] = secret
            elif not self.path.is_file():
                return
            atomic_write(self.path, json.dumps({"keys": known}))
            os.chmod(self.path, 0o600)

    def _read(self) -> dict[str, tuple[str, str]]:
        try:
            stored = json.loads(self.path.read_text(encoding="utf-8"))["keys"]
            return {str(where): (str(name), str(key)) for where, (name, key) in stored.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DamagedError(  # without the error's words: they could quote the file
                T(
                    f"The file of keys {str(self.path)!r} cannot be read ({type(error).__name__}).",
                    f"密钥文件 {str(self.path)!r} 无法读取（{type(error).__name__}）。",
                ),
                fix=f"mv {self.path} {self.path}.damaged",
            ) from None
