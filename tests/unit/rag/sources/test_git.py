"""Repositories by the git program: real ones, made here; and those that want to do more than be read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from zhilu.errors import InputError, MissingComponentError, UnreachableError
from zhilu.rag.sources.base import SourceOptions, SourcePlace
from zhilu.rag.sources.git import GitWalk

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed here")


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "handbook"
    (folder / "docs").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "README.md").write_text("# Handbook\n\nThe office opens at nine.\n")
    (folder / "docs" / "年假.md").write_text("# 年假\n\n满一年有十五天年假。\n")
    (folder / "main.py").write_text("def area(width: int) -> int:\n    return width * width\n")
    (folder / ".github").mkdir()
    (folder / ".github" / "x.yml").write_text("a: b\n")
    (folder / "passwd.md").symlink_to("/etc/passwd")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def test_a_repository_is_followed(repository: Path, add: Any, walk: Any, names: Any, kb: Any) -> None:
    source = add(f"file://{repository}")
    assert walk(source)["added"] == 3
    assert names() == {"handbook/README.md", "handbook/docs/年假.md", "handbook/main.py"}
    assert walk(source)["same"] == 3
    (repository / "README.md").write_text("# Handbook\n\nThe office opens at ten.\n")
    git(repository, "rm", "--quiet", "main.py")
    git(repository, "commit", "--quiet", "-am", "two")
    report = walk(source)
    assert (report["changed"], report["removed"], report["same"]) == (1, 1, 1)
    assert "ten" in kb.read(next(d.id for d in kb.documents() if "README" in d.name)).text


def test_a_branch(repository: Path, add: Any, walk: Any, names: Any) -> None:
    git(repository, "checkout", "--quiet", "-b", "next")
    (repository / "new.md").write_text("# New\n\nOnly on this branch.\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "n")
    git(repository, "checkout", "--quiet", "-")
    walk(add(f"git+file://{repository}", branch="next"))
    assert "handbook/new.md" in names()


def test_nothing_of_the_repository_runs(repository: Path, add: Any, walk: Any, tmp_path: Path) -> None:
    """Hooks of the repository, of a template and of this person's configuration, filters, and a submodule."""
    ran = tmp_path / "ran"
    for name in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc", "post-upload"):
        hook = repository / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
    home = Path(os.environ["HOME"])
    (home / ".gitconfig").write_text(
        f'[core]\n\tfsmonitor = "touch {ran}"\n[filter "x"]\n\tsmudge = touch {ran}\n'
        f'[uploadpack]\n\tpackObjectsHook = "touch {ran}; exec git pack-objects"\n'
    )
    (repository / ".gitattributes").write_text("*.md filter=x\n")
    (repository / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = file:///etc\n')
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "m")
    ran.unlink(missing_ok=True)  # committing ran them; reading must not
    assert walk(add(f"file://{repository}"))["added"] == 3
    assert not ran.exists()


@pytest.mark.parametrize(
    "address",
    ["http://h/x.git", "ssh://h/x", "ext::sh -c id", "--upload-pack=id", "https://u:p@h/x.git", "file://host/x"],
)
def test_only_https_and_file(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        list(GitWalk(SourcePlace(address, SourceOptions(), tmp_path)))


@pytest.mark.parametrize("branch", ["--upload-pack=id", "a b", "a:b", "..", "", "x^"])
def test_a_branch_is_a_name(branch: str, repository: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        list(GitWalk(SourcePlace(f"file://{repository}", SourceOptions(branch=branch), tmp_path / "c")))


def test_private_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        list(GitWalk(SourcePlace("https://127.0.0.1/x.git", SourceOptions(), tmp_path)))
    assert caught.value.code == "fetch_refused"


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreachableError):
        list(GitWalk(SourcePlace("file:///no/such/repository", SourceOptions(), tmp_path)))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingComponentError):
        list(GitWalk(SourcePlace("https://example.org/x.git", SourceOptions(), tmp_path)))
