"""Nothing calls home: OpenVINO's reporting is out of reach before OpenVINO can be imported."""

import subprocess
import sys

import pytest

PROBE = """
import multiprocessing.process, sys
{first}
def forked(self):
    sys.exit("a process was started to report the import")
multiprocessing.process.BaseProcess.start = forked
import openvino
sys.exit("reporting is loaded" if sys.modules.get("openvino_telemetry") else 0)
"""


def probe(first: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", PROBE.format(first=first)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("first", ["import zhilu", "import zhilu.models.embedders", "import zhilu.engine"])
def test_openvino_reports_nothing(first: str) -> None:
    done = probe(first)
    assert done.returncode == 0, done.stderr


def test_the_probe_notices_reporting() -> None:
    pytest.importorskip("openvino_telemetry", reason="the reporting package is not installed here")
    assert probe("").returncode != 0
