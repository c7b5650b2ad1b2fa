"""Which driver runs which CUDA, against NVIDIA's published table."""

from __future__ import annotations

import pytest

from zhilu.doctor.cuda import driver_cuda, driver_runs, parse_version, wheel_for


@pytest.mark.parametrize(
    ("driver", "cuda", "runs"),
    [
        ("570.133.07", "12.8", True),
        ("525.60.13", "12.8", True),  # minor version compatibility: any 12.x from 525 on
        ("520.61.05", "12.0", False),
        ("520.61.05", "11.8", True),
        ("575.57.08", "13.0", False),
        ("580.65.06", "13.0", True),
        ("580.65.06", "12.6", True),  # a driver runs everything older
        ("590.44.01", "13.1", True),
        ("580.65.06", "14.0", False),  # a major version after the table's last needs a newer driver than it names
        ("", "12.8", False),
        ("570.1", "", False),
    ],
)
def test_a_driver_runs_a_build_or_does_not(driver: str, cuda: str, runs: bool) -> None:
    assert driver_runs(driver, cuda) is runs


@pytest.mark.parametrize(
    ("driver", "cuda"), [("580.95.05", "13.0"), ("570.133.07", "12.8"), ("535.183.01", "12.2"), ("390.157", None)]
)
def test_the_newest_cuda_of_a_driver(driver: str, cuda: str | None) -> None:
    assert driver_cuda(driver) == cuda


@pytest.mark.parametrize(
    ("driver", "capability", "wheel"),
    [
        ("580.65.06", (8, 9), "cu130"),
        ("580.65.06", (6, 1), "cu126"),  # Pascal is not in the CUDA 13 build
        ("535.54.03", (8, 9), "cu126"),
        ("470.256.02", (8, 6), None),
    ],
)
def test_the_wheel_for_a_driver_and_a_gpu(driver: str, capability: tuple[int, int], wheel: str | None) -> None:
    found = wheel_for(driver, capability)
    assert (found.name if found else None) == wheel


def test_versions_are_numbers_and_not_texts() -> None:
    assert parse_version("v20.9.0") == (20, 9, 0) > parse_version("v9.11.2")
    assert parse_version("570.133.07") == (570, 133, 7)
    assert parse_version("none") == ()
