from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from zhilu.heap import give_back_freed, giving_back_freed

# A hundred megabytes in small pieces, all freed but for the last of each thousand: the heap's top stays in use.
_FRAGMENTED = """
import ctypes, psutil
from zhilu.heap import give_back_freed
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
pieces = [libc.malloc(4000) for _ in range(25000)]
for piece in pieces: ctypes.memset(piece, 1, 4000)
for number, piece in enumerate(pieces):
    if number % 1000 != 999: libc.free(piece)
process = psutil.Process()
before = process.memory_info().rss
give_back_freed()
print((before - process.memory_info().rss) // 2**20)
"""


def test_freed_memory_goes_back_to_the_system() -> None:
    if not give_back_freed():
        pytest.skip("this C library has no malloc_trim")
    code = _FRAGMENTED
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 80


def test_the_thread_ends_with_the_block() -> None:
    with giving_back_freed(0.01):
        assert any(thread.name == "give-back-freed" for thread in threading.enumerate())
    assert not any(thread.name == "give-back-freed" for thread in threading.enumerate())
