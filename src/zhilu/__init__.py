"""Zhilu 指路: the LLM learning roadmap made executable, every stage proven by a gate."""

import sys

# OpenVINO reports every import to its maker, from a process that it forks. Nothing here calls home, and a fork beside
# running threads can hang for ever. With the reporting package out of reach OpenVINO uses its own stub.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__version__ = "0.1.0"
