"""Runs the default tests on the oldest and the newest Python that this machine has. Standard library only.

    python3 scripts/pythons.py            find them, install what the tests need into .venv-X.Y, run the tests
    python3 scripts/pythons.py 3.12       all default tests on this one instead
    python3 scripts/pythons.py --list     only say which there are

The Python that runs this script is left out: `make test` runs on it. A newer one runs all default tests, since it is where
new warnings come from; an older one the unit and contract tests, which import every module. PyTorch is not installed
(ZHILU_TORCH decides otherwise), so the tests that need it are skipped. CI runs this, too.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 14)
MARKS = "not slow and not browser and not real_model and not install and not gpu and not network"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="only say which there are")
    parser.add_argument(
        "versions", nargs="*", metavar="VERSION", help="such as 3.12, instead of the oldest and the newest"
    )
    options = parser.parse_args()
    found = find_pythons()
    shown = ", ".join(f"{major}.{minor} ({path})" for (major, minor), path in found.items()) or "none"
    print(f"[zhilu] other Pythons from 3.{OLDEST[1]} to 3.{NEWEST[1]} on this machine: {shown}", flush=True)
    if options.list:
        return
    if not found:
        print("[zhilu] NOT TESTED on another Python: no other one can be had here", flush=True)
        return
    folders = chosen(found, options.versions)
    for what, wanted in (("older", ["tests/unit", "tests/contract"]), ("newer", ["tests"])):
        if not options.versions and wanted not in folders.values():
            print(f"[zhilu] NOT TESTED on an {what} Python: none can be had here", flush=True)
    failed = [f"3.{minor}" for (_, minor), tests in folders.items() if not passes(minor, found[(3, minor)], tests)]
    if failed:
        raise SystemExit(f"[zhilu] the default tests fail on Python {', '.join(failed)}")


def find_pythons() -> dict[tuple[int, int], Path]:
    """Interpreters beside the running one, oldest first: those on the PATH, and pyenv's, whether active or not."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = {}
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        on_path = shutil.which(f"python3.{minor}")
        candidates = [Path(on_path)] if on_path else []
        candidates += sorted(pyenv.glob(f"3.{minor}.*/bin/python"), reverse=True)
        works = [path for path in candidates if is_whole(path, minor)]
        if works and minor != sys.version_info.minor:
            found[(3, minor)] = works[0]
    return found


def is_whole(path: Path, minor: int) -> bool:
    """True if it runs, is the version that its name says, and has what a virtual environment needs."""
    script = f"import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([path, "-c", script], capture_output=True, check=False).returncode == 0


def chosen(found: dict[tuple[int, int], Path], named: list[str]) -> dict[tuple[int, int], list[str]]:
    """The folders of tests for each that was named, else for the oldest and the newest that differ from the running one:
    what lies between is taken to follow."""
    if not named:
        running, oldest, newest = sys.version_info[:2], min(found), max(found)
        older = {oldest: ["tests/unit", "tests/contract"]} if oldest < running else {}
        return older | ({newest: ["tests"]} if newest > running else {})
    there = {f"{major}.{minor}": (major, minor) for major, minor in found}
    for name in named:
        if name not in there:
            raise SystemExit(f"[zhilu] no Python {name!r} beside the running one; there are {', '.join(there)}")
    return {there[name]: ["tests"] for name in named}


def passes(minor: int, python: Path, tests: list[str]) -> bool:
    place, began = ROOT / f".venv-3.{minor}", time.monotonic()
    env = {**os.environ, "ZHILU_VENV": place.name, "ZHILU_TORCH": os.environ.get("ZHILU_TORCH", "none")}
    print(f"[zhilu] the default tests in {' and '.join(tests)} on Python 3.{minor}", flush=True)
    if subprocess.run([python, "scripts/install.py", "--dev", "--no-ui"], cwd=ROOT, env=env, check=False).returncode:
        return False
    command = [place / "bin" / "python", "-m", "pytest", *tests, "-m", MARKS, "-n", "2", "-q"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    passed = subprocess.run(command, cwd=ROOT, env=kept, check=False).returncode == 0
    print(f"[zhilu] Python 3.{minor} took {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
    return passed


if __name__ == "__main__":
    main()
