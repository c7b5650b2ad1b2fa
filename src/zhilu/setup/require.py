"""Whether PyTorch is installed, and the one error of everything that needs it and does not find it."""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path

from zhilu.errors import MissingComponentError
from zhilu.messages import T

__all__ = ["INSTALL_TORCH", "has_torch", "require_torch", "unfinished_mark"]

INSTALL_TORCH = "zhilu setup torch"


def has_torch() -> bool:
    """True if PyTorch is installed, whole, in the running environment. Imports nothing."""
    return find_spec("torch") is not None and not unfinished_mark().exists()


def require_torch(what: T) -> None:
    """
    Args:
        what: what needs PyTorch, as the subject of a sentence.

    Raises:
        MissingComponentError: it is not installed; ``fix`` is the command that installs it.
    """
    if not has_torch():
        raise MissingComponentError(
            T(
                f"{what.en} needs PyTorch, which is not installed yet.",
                f"{what.zh}需要 PyTorch，而它还没有安装。",
            ),
            code="torch_missing",
            fix=INSTALL_TORCH,
        )


def unfinished_mark(packages: Path | None = None) -> Path:
    """Stands beside the packages while PyTorch is being written there: after a kill what lies there counts as absent."""
    return (packages or Path(sysconfig.get_path("purelib"))) / "zhilu-torch-unfinished"
