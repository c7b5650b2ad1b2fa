"""The walls: bubblewrap (https://github.com/containers/bubblewrap), where there is one and this machine lets it work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from zhilu.messages import T

__all__ = ["can_wall", "packages", "walled"]

WORK = "/work"  # where the scratch folder is inside
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/alternatives")

_ENVIRONMENT = (("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", WORK), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp"))


def packages() -> str:
    """The folders of the packages that are installed beside this interpreter."""
    return os.pathsep.join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))


@cache
def can_wall() -> tuple[bool, T]:
    """Whether walls can be had here, and why (not). Tried for real once: a kernel may forbid user namespaces."""
    program = shutil.which("bwrap")
    if program is None:
        return False, T("bubblewrap is not installed here", "本机没有安装 bubblewrap")
    tried = subprocess.run(
        [*_walls(program, None, ()), "true"], capture_output=True, text=True, timeout=20, check=False
    )
    if tried.returncode != 0:
        reason = (tried.stderr.strip().splitlines() or [str(tried.returncode)])[-1][:200]
        return False, T(f"bubblewrap does not work here: {reason}", f"bubblewrap 在本机无法工作：{reason}")
    return True, T(f"bubblewrap at {program}", f"bubblewrap：{program}")


def walled(scratch: Path, argv: Sequence[str], processes: int, readable: Sequence[Path] = ()) -> list[str]:
    """``argv`` behind walls: its own users, processes, network (none), host name; the system read-only, ``readable`` read-only
    under their own names, ``scratch`` as ``/work``; nothing else of this machine."""
    program = shutil.which("bwrap")
    assert program is not None, "ask can_wall first"
    # The number of processes counts from within the new user namespace; before, it would count all that the user runs.
    counted = ["/bin/sh", "-c", 'ulimit -u "$0" 2>/dev/null; exec "$@"', str(processes)]
    return [*_walls(program, scratch, readable), *counted, *argv]


def _walls(program: str, scratch: Path | None, readable: Sequence[Path]) -> list[str]:
    walls = [
        program, "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
        "--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--clearenv",
    ]  # fmt: skip
    for name, value in (
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("HOME", WORK),
        ("LANG", "C.UTF-8"),
        ("TMPDIR", "/tmp"),
    ):
        walls += ["--setenv", name, value]
    walls += ["--setenv", "PYTHONPATH", packages()]
    for path in _SYSTEM:
        if os.path.islink(path):
            walls += ["--symlink", os.readlink(path), path]
        elif os.path.exists(path):
            walls += ["--ro-bind", path, path]
    # Before what may stand in it, which it would hide.
    walls += ["--dev", "/dev", "--size", str(64 << 20), "--tmpfs", "/tmp"]
    # An interpreter outside /usr (pyenv, conda, uv), and the packages of this environment.
    for place in dict.fromkeys((sys.base_prefix, sys.prefix)):
        if not place.startswith("/usr/") and place != "/usr":
            walls += ["--ro-bind", place, place]
    for folder in readable:
        walls += ["--ro-bind", str(folder), str(folder)]
    # A process of the real root may write the kernel's switches by their owner alone, without any capability.
    walls += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    for switch in filter(os.path.exists, ("/proc/sysrq-trigger", "/proc/irq", "/proc/bus")):
        walls += ["--tmpfs", switch] if os.path.isdir(switch) else ["--ro-bind", "/dev/null", switch]
    walls += ["--bind", str(scratch), WORK, "--chdir", WORK] if scratch is not None else ["--chdir", "/"]
    return walls
