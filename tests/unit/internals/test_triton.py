"""The Triton kernel of lesson 6.3, in Triton's interpreter where there is no GPU."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from zhilu.errors import MissingComponentError
from zhilu.internals.proofs import flash_attention as proof

SOURCE = Path(__file__).parents[3] / "src/zhilu/internals/lessons/lesson3_flash_triton.py"
# Triton reads its environment once: in a process of its own, whatever was imported here before.
COMPARE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("kernel", sys.argv[1])
kernel = importlib.util.module_from_spec(spec)
sys.modules["kernel"] = kernel
spec.loader.exec_module(kernel)
import torch
from torch.nn.functional import scaled_dot_product_attention
torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
worst = 0.0
for n, head_dim, tile in ((1, 16, 16), (47, 32, 16), (64, 20, 32), (70, 64, 16)):
    q, k, v = (torch.randn(2, 2, n, head_dim, device=device) for _ in range(3))
    out, lse = kernel.flash_attention(q, k, v, tile)
    wanted = scaled_dot_product_attention(q, k, v, is_causal=True)
    scores = (q @ k.mT * head_dim**-0.5).masked_fill(torch.ones(n, n, device=device).triu(1).bool(), -torch.inf)
    gaps = (out - wanted).abs().max(), (lse - scores.logsumexp(-1)).abs().max()
    worst = max(worst, *(float(gap) if torch.isfinite(gap) else 9.0 for gap in gaps))
print(worst)
"""


def gap(kernel: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", COMPARE, str(kernel)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.usefixtures("needs_torch")
@pytest.mark.skipif(not find_spec("triton"), reason="triton is not installed here (an extra of its own)")
def test_the_kernel_is_exact_attention() -> None:
    assert gap(SOURCE) < 1e-5
    check = proof.triton_check(proof.real_qkv(70)[1])
    assert check.passed, check


@pytest.mark.usefixtures("needs_torch")
@pytest.mark.skipif(not find_spec("triton"), reason="triton is not installed here (an extra of its own)")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("total = total * shrink +", "total = total +"),
        ("rows[:, None] >= columns[None, :]", "rows[:, None] > columns[None, :]"),
        ("range(0, first_row + TILE, TILE)", "range(0, first_row, TILE)"),
        ("* scale  # ieee", "# ieee"),
    ],
)
def test_a_mistake_in_it_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    source = SOURCE.read_text()
    assert source.count(right) == 1, "the kernel reads differently now"
    broken = tmp_path / "kernel.py"
    broken.write_text(source.replace(right, wrong))
    assert gap(broken) > 1e-3


def test_without_triton_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "find_spec", lambda name: None)
    with pytest.raises(MissingComponentError, match="Triton") as missing:
        proof.triton_check(proof.real_qkv(8)[0])
    assert missing.value.fix is not None and missing.value.fix.endswith('pip install "zhilu[triton]"')
