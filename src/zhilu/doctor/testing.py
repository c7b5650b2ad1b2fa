"""A machine written down as data, for tests of probes (ours and a third party's).

runner = healthy_linux().but(commands={"uname -srm": "Linux 4.4.0-19041-Microsoft x86_64"})
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zhilu.doctor.runner import ABSENT, Completed, Reply

__all__ = ["ScriptedRunner", "healthy_linux", "interpreter"]

Script = Mapping[str, "str | Completed | None"]


@dataclass(frozen=True)
class ScriptedRunner:
    """A Runner that answers from tables; what is not in them is absent.

    Attributes:
        commands: command line -> stdout, or a Completed; None: the command does not exist. A command is looked up as
            it is, by its program with its folder, with the folders left out, then by its first two words and last by its
            program alone. The interpreter that runs the test is ``python``, whatever its file is called.
        files: path -> content.
        paths: command name -> where it is.
        ports: (host, port) that accept connections.
        replies: URL -> Reply.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    commands: Script = field(default_factory=dict)
    files: Mapping[str, str | None] = field(default_factory=dict)
    paths: Mapping[str, str | None] = field(default_factory=dict)
    ports: frozenset[tuple[str, int]] = frozenset()
    replies: Mapping[str, Reply] = field(default_factory=dict)

    def run(self, argv: Sequence[str], *, timeout: float = 3.0) -> Completed:
        bare = [word.rpartition("/")[2] if n == 0 or "/look/" in word else word for n, word in enumerate(argv)]
        bare[0] = "python" if argv[0] == sys.executable else bare[0]
        for key in (shlex.join(argv), argv[0], " ".join(bare), " ".join(bare[:2]), bare[0]):
            if key in self.commands:
                answer = self.commands[key]
                if answer is None:
                    break
                return Completed(0, answer) if isinstance(answer, str) else answer
        return Completed(ABSENT, err=f"{argv[0]}: not found")

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def which(self, name: str) -> str | None:
        return self.paths.get(name)

    def connect(self, host: str, port: int, *, timeout: float = 1.0) -> str | None:
        return None if (host, port) in self.ports else "[Errno 111] Connection refused"

    def fetch(self, url: str, *, timeout: float = 3.0) -> Reply:
        return self.replies.get(url, Reply(kind="dns", error="[Errno -3] Temporary failure in name resolution"))

    def but(
        self,
        *,
        env: Mapping[str, str] | None = None,
        commands: Script | None = None,
        files: Mapping[str, str | None] | None = None,
        paths: Mapping[str, str | None] | None = None,
        ports: frozenset[tuple[str, int]] | None = None,
        replies: Mapping[str, Reply] | None = None,
    ) -> ScriptedRunner:
        """The same machine with something changed."""
        return replace(
            self,
            env={**self.env, **(env or {})},
            commands={**self.commands, **(commands or {})},
            files={**self.files, **(files or {})},
            paths={**self.paths, **(paths or {})},
            ports=self.ports if ports is None else ports,
            replies={**self.replies, **(replies or {})},
        )


def interpreter(*, packages: Mapping[str, str | None] | None = None, **facts: Any) -> str:
    """What ``look_interpreter.py`` prints in a healthy venv, with something changed."""
    there = {"pip": "26.0", "torch": "2.13.0+cpu", "numpy": "2.4.0", "ipykernel": "7.0.0", "nbclient": "0.11.0"}
    answer = {
        "version": [3, 12, 4],
        "implementation": "cpython",
        "executable": "/home/li/zhilu/.venv/bin/python",
        "prefix": "/home/li/zhilu/.venv",
        "base_prefix": "/usr",
        "bits": 64,
        "conda": False,
        "conda_base": False,
        "externally_managed": False,
        "writable": True,
        "packages": {**there, **(packages or {})},
        "encoding": "UTF-8",
        "filesystem_encoding": "utf-8",
        **facts,
    }
    return json.dumps(answer)


def healthy_linux() -> ScriptedRunner:
    """An Ubuntu 22.04 laptop without a GPU on which nothing is wrong."""
    torch: dict[str, Any] = {
        "version": "2.13.0+cpu",
        "cuda": None,
        "hip": None,
        "available": False,
        "arch_list": [],
        "mps": False,
        "warnings": [],
    }
    kernels = {"kernels": {"python3": {"python": "/home/li/zhilu/.venv/bin/python", "exists": True, "here": True}}}
    space = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda2 480000000 90000000 380000000 20% /\n"
    return ScriptedRunner(
        env={"LANG": "C.UTF-8", "PATH": "/usr/bin", "HOME": "/home/li"},
        commands={
            "uname -srm": "Linux 6.8.0-45-generic x86_64",
            "getconf _NPROCESSORS_ONLN": "8",
            "python look_interpreter.py": interpreter(),
            "/home/li/.zhilu/engines/vllm/bin/python": None,
            "python look_torch.py": json.dumps(torch),
            "python look_kernels.py": json.dumps(kernels),
            "python -m pip --version": "pip 26.0 from /home/li/zhilu/.venv/lib/python3.12/site-packages/pip (python 3.12)",
            "python -m pip config list": "",
            "lspci -n": "00:02.0 0300: 8086:46a6 (rev 0c)\n",
            "df": space,
            "date +%s": "1790000000",
            "sh -c 'ulimit -n'": "1048576",
            "locale -a": "C\nC.utf8\nPOSIX\n",
            "node --version": "v22.11.0",
            "java": Completed(0, err='openjdk version "17.0.12" 2024-07-16\n'),
            "code": "ms-python.python\nms-toolsai.jupyter\n",
        },
        files={
            "/etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
            "/proc/meminfo": "MemTotal: 16384000 kB\nMemAvailable: 12000000 kB\nMemFree: 9000000 kB\nSwapTotal: 2097152 kB\n",
            "/proc/mounts": "/dev/sda2 / ext4 rw,relatime 0 0\n",
            "/proc/cpuinfo": "model name\t: 12th Gen Intel(R) Core(TM) i7-1260P\nflags\t\t: fpu sse4_2 avx avx2 avx_vnni\n",
        },
        paths={"code": "/usr/bin/code", "javac": "/usr/bin/javac"},
        replies={
            "https://huggingface.co": Reply(200, {"date": "Mon, 21 Sep 2026 14:13:20 GMT"}),
            "https://www.modelscope.cn": Reply(200, {"date": "Mon, 21 Sep 2026 14:13:21 GMT"}),
            "https://pypi.org/simple/pip/": Reply(200),
        },
    )
