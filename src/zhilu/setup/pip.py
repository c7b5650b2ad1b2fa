"""What installing into the running environment needs: whether it may, with which pip, and leaving what is there as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from zhilu.errors import MissingComponentError
from zhilu.messages import T

__all__ = ["asked", "is_our_environment", "refuse_old_pip", "what_is_there", "why_not_here"]

_OLDEST_PIP = (24, 1)  # older ones download all of a build only to look at it, and have no progress that can be read


def is_our_environment() -> bool:
    """True in an environment that ``scripts/install.py`` made, where installing more needs nobody's permission."""
    return (Path(sys.prefix) / "zhilu-stamps").is_dir()


def why_not_here() -> T | None:
    """Why nothing can be installed into the running environment; None if it can."""
    packages = Path(sysconfig.get_path("purelib"))
    if (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists() and sys.prefix == sys.base_prefix:
        return T(
            "This Python belongs to the system, which installs its packages.",
            "当前 Python 由系统管理，软件包由系统安装。",
        )
    if not _can_write(packages):
        return T(f"{str(packages)!r} cannot be written.", f"{str(packages)!r} 不可写。")
    return None


def _can_write(folder: Path) -> bool:
    return os.access(folder, os.W_OK)


def what_is_there(python: str) -> str:
    """The environment's packages as pip's constraints, so that none is replaced under a running program."""
    lines = asked(python, "list", "--format", "freeze", "--exclude-editable").splitlines()
    return "\n".join(line for line in lines if "==" in line and not line.startswith("torch=")) + "\n"


def refuse_old_pip(python: str) -> None:
    try:
        said = asked(python, "--version")
    except subprocess.CalledProcessError as error:
        raise MissingComponentError(
            T("There is no pip in this environment.", "当前环境里没有 pip。"), fix=f"{python} -m ensurepip"
        ) from error
    version = said.split()[1]
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_PIP:
        oldest = ".".join(map(str, _OLDEST_PIP))
        raise MissingComponentError(
            T(
                f"pip {oldest} or newer is needed, this environment has {version}.",
                f"需要 pip {oldest} 或更新，当前环境是 {version}。",
            ),
            fix=f"{python} -m pip install --upgrade pip",
        )


def asked(python: str, *words: str) -> str:
    command = [python, "-m", "pip", *words, "--disable-pip-version-check"]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
