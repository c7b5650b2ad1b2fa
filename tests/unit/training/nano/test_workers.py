from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed here")

from zhilu.training.workers import Workers

_PROGRAM = """
import torch
from zhilu.training.workers import Workers
workers = Workers()
parameters = [torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(4))]
for parameter in parameters:
    parameter.grad = torch.full_like(parameter, 1.0 + 2 * workers.rank)
workers.average_gradients(parameters)
print(workers.rank, [float(p.grad.mean()) for p in parameters], workers.agree([0.25 + workers.rank]))
"""


def test_one_process_works_alone() -> None:
    workers = Workers()
    assert (workers.rank, workers.count, workers.leads) == (0, 1, True)
    assert workers.agree([0.5]) == [0.5]


def test_two_processes_take_the_mean_gradient_and_the_leaders_word() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROGRAM],
            env={**os.environ, **shared, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in (0, 1)
    ]
    said = [process.communicate(timeout=120)[0].strip() for process in running]
    assert said == ["0 [2.0, 2.0] [0.25]", "1 [2.0, 2.0] [0.25]"]
