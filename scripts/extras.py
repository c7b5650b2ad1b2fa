"""Runs the tests of what Zhilu works with but does not bring: other stores, launchers, and the libraries it is compared with.

    python3 scripts/extras.py

They are installed into .venv-extras (about 3 GB with PyTorch, several minutes), which is kept. A test that is skipped there because
something is not installed is a fault. Standard library only.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".venv-extras"
EXTRAS = "triton,tune,qlora,deepspeed,ray,chroma,milvus,pgvector,faiss,langchain,llamaindex"
# Only compared with, no part of what Zhilu installs. langchain-tests brings pytest plugins that change how every test runs.
BESIDE = ("trl==1.16.0", "langchain-tests==1.1.9")
TESTS = (
    *("-p", "no:asyncio"),
    "tests/contract/test_kb_stores.py",
    "tests/contract/test_kb_stores_more.py",
    "tests/parity/test_preference_vs_trl.py",
    "tests/unit/internals/test_triton.py",
    "tests/unit/rag/interop/test_llamaindex.py",
    "tests/unit/tuning/test_launch.py",
)
LANGCHAIN = (
    *("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"),
    "tests/unit/rag/interop/test_langchain.py",
)
MISSING = re.compile(r"SKIPPED .{0,200}?(not installed|pip install)")


def main() -> None:
    began = time.monotonic()
    env = {**os.environ, "ZHILU_VENV": PLACE.name}
    python = PLACE / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run([sys.executable, "scripts/install.py", "--dev", "--no-ui"], env)
    run(
        [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "-c",
            "constraints.txt",
            "-e",
            f".[{EXTRAS}]",
            *BESIDE,
        ],
        env,
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ZHILU_")}
    faults = []
    for tests in (TESTS, LANGCHAIN):
        command = [str(word) for word in (python, "-m", "pytest", "-q", "-rs", "-m", "not network and not gpu", *tests)]
        with subprocess.Popen(command, cwd=ROOT, env=kept, stdout=subprocess.PIPE, text=True) as tested:
            assert tested.stdout is not None
            for line in tested.stdout:
                print(line, end="", flush=True)
                if MISSING.search(line):
                    faults.append(line.strip())
        if tested.returncode:
            faults.append(f"{' '.join(command)} ended with {tested.returncode}")
    print(f"[zhilu] the extras took {(time.monotonic() - began) / 60:.0f} minutes", flush=True)
    if faults:
        raise SystemExit("[zhilu] " + "\n".join(faults))


def run(words: list[object], env: dict[str, str]) -> None:
    if subprocess.run([str(word) for word in words], cwd=ROOT, env=env, check=False).returncode:
        raise SystemExit(f"[zhilu] failed: {' '.join(str(word) for word in words)}")


if __name__ == "__main__":
    main()
