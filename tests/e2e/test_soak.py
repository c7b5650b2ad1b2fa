"""A short run of the soak; the long one is `python benchmarks/soak.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_request_ends_and_nothing_is_held() -> None:
    command = [sys.executable, str(SOAK), "--requests", "300", "--parallel", "8", "--kills", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    # So few requests do not tell growth from warming up: memory is what the long run is for.
    assert [what for what in report["wrong"] if "memory" not in what] == [], done.stderr[-2000:]
    assert report["answered"] > 200
    assert report["cancelled"] > 0
    assert report["blocks_held"] == 0
