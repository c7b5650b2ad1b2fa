"""The five gates of stage 0.

Each gate runs the thing it names. Each takes a ``Machine``, so that a test can break one.
"""

from __future__ import annotations

from zhilu.doctor.gates import editor, gpu, torch, venv, vllm
from zhilu.gate import Gate
from zhilu.messages import T

__all__ = ["GATES"]

GATES: tuple[Gate, ...] = (
    Gate("0.1", T("A virtual environment in which pip works", "一个 pip 可用的虚拟环境"), venv.check),
    Gate(
        "0.2",
        T("PyTorch multiplies matrices on the device", "PyTorch 在设备上完成矩阵乘法"),
        torch.check,
        needs=("0.1",),
    ),
    Gate("0.3", T("The GPU answers", "显卡能应答"), gpu.check),
    Gate("0.4", T("vLLM loads a model and answers", "vLLM 加载模型并回答"), vllm.check, needs=("0.1",), slow=True),
    Gate("0.5", T("The editor's kernel runs a notebook", "编辑器的内核能运行笔记本"), editor.check, needs=("0.1",)),
)
