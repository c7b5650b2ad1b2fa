"""A small environment with the real pip, and wheels on the disk that bear PyTorch's names."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zhilu.context import Context, open_context
from zhilu.jobs import JobStore
from zhilu.jobs.process import kill_marked

VERSION = "2.13.0"


def make_wheel(folder: Path, name: str, version: str, *needs: str) -> Path:
    """A whole wheel with one module of one line."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {n: base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b"=") for n, t in files.items()}
    record = "".join(f"{n},sha256={digests[n].decode()},{len(t)}\n" for n, t in files.items())
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(member, text)
    return path


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks; empty."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cuda_wheels(wheels: Path) -> Path:
    """What PyPI has for Linux: a PyTorch that brings CUDA."""
    make_wheel(wheels, "torch", VERSION, "nvidia-cuda-runtime")
    make_wheel(wheels, "nvidia_cuda_runtime", "13.0")
    return wheels


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The interpreter of an environment that holds pip and nothing else; pip is the running environment's."""
    import pip

    place = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    packages = next(place.glob("lib/python*/site-packages"))
    source = Path(pip.__file__).parent
    (packages / "pip").symlink_to(source)
    for info in source.parent.glob("pip-*.dist-info"):
        (packages / info.name).symlink_to(info)
    return place / "bin" / "python"


@pytest.fixture
def context(own_home: Path) -> Iterator[Context]:
    made = open_context()
    yield made
    for job in JobStore(made).list():
        kill_marked(job.id)
    made.close()


@pytest.fixture(name="make_wheel")
def wheel_maker() -> Callable[..., Path]:
    return make_wheel
