"""Which processor this is, and which of the instruction sets it has that decide how fast weights are multiplied."""

from __future__ import annotations

import platform
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["Processor", "parse_cpuinfo", "processor"]

# As a person reads them: the kernel's flag -> its usual name.
_NAMES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_int8": "AMX",
    "asimd": "NEON",
    "i8mm": "I8MM",
}
_INT8 = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
_WIDE = _INT8 | {"avx512f"}


@dataclass(frozen=True)
class Processor:
    """``flags`` in the Linux kernel's words, lower case; empty where the system does not tell."""

    name: str
    flags: frozenset[str]

    @property
    def is_wide(self) -> bool:
        """Whether it multiplies 8-bit integers, or 512 bits, at once: AVX-512, VNNI or AMX."""
        return bool(self.flags & _WIDE)

    @property
    def multiplies_int8(self) -> bool:
        """Whether it multiplies and adds 8-bit integers in one instruction: VNNI or AMX."""
        return bool(self.flags & _INT8)

    @property
    def sets(self) -> str:
        """Its instruction sets, for people: ``AVX2``, ``AVX2, AVX-512, AMX``."""
        return ", ".join(shown for flag, shown in _NAMES.items() if flag in self.flags) or "no AVX2"


@cache
def processor() -> Processor:
    """Of this machine; asked once a process. Windows does not tell the flags without code of the processor's own."""
    try:
        return Processor(*parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")))
    except OSError:
        pass
    if platform.system() == "Darwin":
        words = ["machdep.cpu.brand_string", "machdep.cpu.features", "machdep.cpu.leaf7_features"]
        name, *features = (_sysctl(word) for word in words)
        return Processor(name, frozenset(" ".join(features).lower().replace("avx1.0", "avx").split()))
    return Processor(platform.processor(), frozenset())


def parse_cpuinfo(text: str) -> tuple[str, frozenset[str]]:
    """Name and flags of the first processor in the text of ``/proc/cpuinfo``."""
    name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    return (name.group(1).strip() if name else ""), frozenset(flags.group(1).lower().split() if flags else ())


def _sysctl(word: str) -> str:
    try:
        asked = subprocess.run(["sysctl", "-n", word], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip()
