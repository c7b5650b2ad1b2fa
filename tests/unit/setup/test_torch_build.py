"""Which build is taken, asked of the real pip with wheels on the disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from zhilu.setup.torch_build import TORCH, choose_build

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has two builds under one version")


@linux_only
def test_a_cpu_build_is_preferred_to_one_that_brings_cuda(
    environment: Path, cuda_wheels: Path, make_wheel: Callable
) -> None:
    make_wheel(cuda_wheels, "torch", "2.13.0+cpu")
    build = choose_build(environment, has_gpu=False)
    assert (build.kind, build.words) == ("cpu", (f"{TORCH}+cpu",))
    assert [url.rpartition("/")[2] for url in build.urls] == ["torch-2.13.0%2Bcpu-py3-none-any.whl"]


@pytest.mark.parametrize(
    ("wanted", "has_gpu", "kind", "reason"),
    [
        ("auto", False, "cuda", "no CPU build can be found"),
        ("auto", True, "cuda", "an NVIDIA GPU answers"),
        ("cuda", False, "cuda", "the CUDA build was asked for"),
        ("cpu", False, "none", "no CPU build can be found"),
        ("cpu", True, "none", "no CPU build can be found"),
        ("none", False, "none", "ZHILU_TORCH=none"),
    ],
)
def test_a_build_that_brings_cuda_is_named_as_such(wanted: str, has_gpu: bool, kind: str, reason: str) -> None:
    only_cuda = {(TORCH,): ("https://x/torch-2.13.0-cp311.whl", "https://x/nvidia_cudnn_cu13-9.whl")}
    build = choose_build("python", wanted, has_gpu=has_gpu, ask=lambda words: only_cuda.get(tuple(words)))
    assert (build.kind, build.reason.en) == (kind, reason)
    assert bool(build.words) == (kind == "cuda")


def test_a_build_that_brings_no_cuda_is_taken_as_it_is() -> None:
    build = choose_build("python", has_gpu=False, ask={(TORCH,): ("file:///torch-2.13.0-any.whl",)}.get)
    assert (build.kind, build.words, build.reason.en) == ("cpu", (TORCH,), "this platform's build")


def test_where_pip_finds_nothing_it_says_so(environment: Path, wheels: Path) -> None:
    build = choose_build(environment, has_gpu=False)
    assert (build.kind, build.words) == ("none", ())
    assert TORCH in build.reason.en
