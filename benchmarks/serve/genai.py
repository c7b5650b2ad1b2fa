"""OpenVINO GenAI's continuous batching, inside its own environment and process: it has no server of its own.

    GENAI_PYTHON benchmarks/serve/genai.py < job.json

Started by ``benchmarks/serve.py``. Its figures hold no HTTP, which is to its advantage. The first line of standard input is
``{"model", "work" (workload -> {"prompts", "num_tokens"}), "threads", "concurrency"}``, answered with ``{"start"}``; every
other one names a workload, answered with its ``{"wall", "first"}``; all in seconds, JSON, a line each. The IR is made by
optimum-intel's exporter beforehand.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    job = json.loads(sys.stdin.readline())
    import numpy as np
    import openvino
    import openvino_genai as genai

    started = time.perf_counter()
    schedule = genai.SchedulerConfig()
    schedule.max_num_seqs = max(32, job["concurrency"])
    schedule.max_num_batched_tokens = 512
    schedule.cache_size = 1  # GB
    schedule.enable_prefix_caching = False
    properties = {"INFERENCE_NUM_THREADS": job["threads"]}
    pipeline = genai.ContinuousBatchingPipeline(job["model"], schedule, "CPU", properties)
    _say({"start": time.perf_counter() - started})

    def run(prompts: list[list[int]], num_tokens: int) -> tuple[float, float]:
        config = genai.GenerationConfig(max_new_tokens=num_tokens, min_new_tokens=num_tokens, ignore_eos=True)
        config.do_sample = False
        begin, first = time.perf_counter(), 0.0
        handles = [
            pipeline.add_request(number, openvino.Tensor(np.array([prompt], np.int64)), config)
            for number, prompt in enumerate(prompts)
        ]
        while pipeline.has_non_finished_requests():
            pipeline.step()
            if not first and all(handle.can_read() for handle in handles):
                first = time.perf_counter() - begin
        return time.perf_counter() - begin, first

    for line in sys.stdin:
        work = job["work"][line.strip()]
        wall, first = run(work["prompts"], work["num_tokens"])
        _say({"wall": wall, "first": first})


def _say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
