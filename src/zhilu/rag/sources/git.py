"""A Git repository, by the ``git`` program: the newest commit alone, its files read as objects.

Nothing is checked out: so no link is followed, no filter and no hook runs, no submodule is entered, and a name is only a name.
Only https and file are spoken, nobody is asked for a password, no configuration of this machine is read, and over https git
connects to the address that was checked (``http.curloptResolve``) and follows no redirect.
"""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlsplit

from zhilu.errors import InputError, MissingComponentError, UnreachableError
from zhilu.messages import T
from zhilu.rag.load.admission import check_size
from zhilu.rag.sources.base import Found, SourceKind, SourcePlace
from zhilu.tools.addresses import addresses_of, is_public

__all__ = ["GIT", "GitWalk"]

_SECONDS = 600
_MOST_FILES = 20_000
_FILE_MODES = ("100644", "100755")  # not links (120000), not submodules (160000)


class GitWalk:
    def __init__(self, place: SourcePlace) -> None:
        self.place = place
        self.folder = place.cache / "repository.git"
        self.whole = False

    def __iter__(self) -> Iterator[Found]:
        if shutil.which("git") is None:
            raise MissingComponentError(
                T("git is not installed here.", "这台机器没有安装 git。"), fix="apt install git"
            )
        address, settings = _checked(self.place)
        if not (self.folder / "HEAD").is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self._git("init", "--quiet", "--bare", "--template=", str(self.folder), inside=False)
        wanted = _branch(self.place.options.branch)
        self._git(
            *settings, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--force", "--", address,
            f"{wanted}:refs/zhilu/now",
        )  # fmt: skip
        listed = self._git("ls-tree", "-r", "-l", "-z", "refs/zhilu/now").split(b"\0")
        entries = [entry for entry in map(_entry, listed) if entry is not None]
        for sha, size, path in entries[:_MOST_FILES]:
            yield Found(path, path, sha, lambda s=sha, n=size: self._blob(s, n))  # type: ignore[misc]
        self.whole = len(entries) <= _MOST_FILES

    def _blob(self, sha: str, size: int) -> IO[bytes]:
        check_size(size, self.place.max_mb)
        return io.BytesIO(self._git("cat-file", "blob", sha))

    def _git(self, *words: str, inside: bool = True) -> bytes:
        command = [
            "git", *(("--git-dir", str(self.folder)) if inside else ()), "-c", "core.hooksPath=/dev/null", "-c",
            "credential.helper=", "-c", "protocol.allow=never", "-c", "protocol.https.allow=always", "-c",
            "protocol.file.allow=always", "-c", "http.followRedirects=false", "-c", "submodule.recurse=false", "-c",
            "gc.auto=0", "-c", "fetch.fsckObjects=true", "-c", "core.symlinks=false", "-c", "safe.directory=*", *words,
        ]  # fmt: skip
        environment = {
            "PATH": os.environ.get("PATH", ""), "HOME": str(self.place.cache), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ASKPASS": "true", "GIT_PROTOCOL_FROM_USER": "0",
        }  # fmt: skip
        try:
            done = subprocess.run(
                command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise self._unread(f"no answer in {_SECONDS} s") from error
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise self._unread(
                next((line for line in lines if line.startswith(("fatal:", "error:"))), "git failed")[:300]
            )
        return done.stdout

    def _unread(self, why: str) -> UnreachableError:
        where = self.place.address
        return UnreachableError(
            T(f"The repository {where} cannot be read: {why}", f"无法读取仓库 {where}：{why}"),
            code="source_unreachable",
        )


def _checked(place: SourcePlace) -> tuple[str, list[str]]:
    """The address as git is given it, with settings that hold it to the address that was looked at."""
    address = place.address.removeprefix("git+")
    parts = urlsplit(address)
    if parts.scheme == "file" and not parts.netloc:
        return address, []
    if parts.scheme != "https" or not parts.hostname:
        raise InputError(
            T(f"Git is spoken over https:// and file:// alone, not {address!r}.", f"Git 只支持 https:// 和 file://，不支持 {address!r}。"),
            param="address",
        )  # fmt: skip
    if parts.username or parts.password:
        raise InputError(
            T("A name or password does not belong into the address.", "地址里不能带用户名或密码。"), param="address"
        )
    port = parts.port or 443
    try:
        addresses = asyncio.run(addresses_of(parts.hostname, port))
    except (OSError, UnicodeError) as error:
        raise UnreachableError(T(f"{parts.hostname} is not known.", f"找不到主机 {parts.hostname}。")) from error
    if not place.private and not all(map(is_public, addresses)):
        raise InputError(
            T(f"{parts.hostname} is not on the public internet.", f"{parts.hostname} 不在公网上。"),
            code="fetch_refused", param="address", fix="zhilu settings set web_private true",
        )  # fmt: skip
    where = f"[{addresses[0]}]" if ":" in addresses[0] else addresses[0]
    return address, ["-c", f"http.curloptResolve={parts.hostname}:{port}:{where}"]


def _branch(name: str | None) -> str:
    """Never an option of git's, and never two refs."""
    if name is None:
        return "HEAD"
    if not name or name.startswith("-") or any(c in name for c in " :~^?*[\\\0\n") or ".." in name:
        raise InputError(T(f"{name!r} is no branch.", f"{name!r} 不是分支名。"), param="branch")
    return f"refs/heads/{name}"


def _entry(line: bytes) -> tuple[str, int, str] | None:
    """``(sha, bytes, path)`` of a file that is not hidden."""
    about, tab, name = line.partition(b"\t")
    fields = about.decode("ascii", "replace").split()
    if not tab or len(fields) != 4 or fields[0] not in _FILE_MODES or not fields[3].isdecimal():
        return None
    path = name.decode("utf-8", "replace")
    if any(part.startswith(".") for part in PurePosixPath(path).parts):
        return None
    return fields[2], int(fields[3]), path


def _prefix(address: str) -> str:
    path = unquote(urlsplit(address.removeprefix("git+")).path)
    return Path(path.rstrip("/")).name.removesuffix(".git") or "repository"


GIT = SourceKind("git", False, _prefix, GitWalk)
