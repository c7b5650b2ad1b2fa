"""Systems, Pythons, memory, disks and ports with something broken."""

from __future__ import annotations

from machines import ERROR, HEALTHY, SUBJECT, WARNING, WSL2, Environment, df, python

from zhilu.doctor import Subject
from zhilu.doctor.runner import Completed

BROKEN_SYSTEMS = [
    # The system
    Environment(
        "wsl1",
        HEALTHY.but(env={"WSL_DISTRO_NAME": "Ubuntu"}, commands={"uname -srm": "Linux 4.4.0-19041-Microsoft x86_64"}),
        "system.wsl1",
        ERROR,
        "wsl --set-version Ubuntu 2",
    ),
    Environment(
        "native windows",
        HEALTHY.but(env={"OS": "Windows_NT"}, commands={"uname -srm": None}),
        "system.windows",
        ERROR,
        "wsl --install",
        others=("vllm.not_here",),
    ),
    Environment(
        "project on drive C",
        HEALTHY.but(commands=WSL2),
        "system.wsl_windows_disk",
        WARNING,
        "cd ~/projects",
        subject=Subject(SUBJECT.python, SUBJECT.home, "/mnt/c/Users/li/zhilu"),
        others=("gpu.none",),
    ),
    Environment(
        "home on drive D",
        HEALTHY.but(commands={**WSL2, "/mnt/d/zhilu/engines/vllm/bin/python": None}),
        "system.wsl_windows_disk_home",
        ERROR,
        "export ZHILU_HOME=~/.zhilu",
        subject=Subject(SUBJECT.python, "/mnt/d/zhilu", SUBJECT.project),
        others=("gpu.none",),
    ),
    Environment(
        "WSL with 4 GB",
        HEALTHY.but(commands=WSL2, files={"/proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n"}),
        "memory.wsl",
        WARNING,
        ".wslconfig",
        "half of Windows' memory",
    ),
    # Python and its environment
    Environment("Python 3.8", python(version=[3, 8, 10]), "python.too_old", ERROR, "uv venv --seed --python 3.12"),
    Environment("Python 3.16", python(version=[3, 16, 0]), "python.too_new", WARNING, "uv venv"),
    Environment("32-bit Python", python(bits=32), "python.32_bit", ERROR, "uv venv"),
    Environment(
        "venv whose Python was upgraded away",
        HEALTHY.but(
            commands={
                "python look_interpreter.py": Completed(127, err="python: cannot execute: required file not found")
            }
        ),
        "python.broken",
        ERROR,
        "python3 -m venv .venv",
        "required file not found",
        others=("environment.unknown", "torch.missing", "jupyter.no_ipykernel"),
    ),
    Environment(
        "Ubuntu 24.04's Python (PEP 668)",
        python(prefix="/usr", executable="/usr/bin/python3", externally_managed=True),
        "environment.externally_managed",
        ERROR,
        "python3 -m venv .venv",
        "PEP 668",
    ),
    Environment(
        "system Python",
        python(prefix="/usr", executable="/usr/bin/python3"),
        "environment.system_python",
        WARNING,
        "python3 -m venv .venv",
    ),
    Environment(
        "Conda base",
        python(prefix="/home/li/miniconda3", base_prefix="/home/li/miniconda3", conda=True, conda_base=True),
        "environment.conda_base",
        WARNING,
        "conda create -y -n zhilu",
    ),
    Environment("venv made with sudo", python(writable=False), "environment.not_writable", ERROR, "sudo chown -R"),
    Environment(
        "PYTHONPATH of ROS",
        HEALTHY.but(env={"PYTHONPATH": "/opt/ros/humble/lib/python3.10/site-packages"}),
        "environment.pythonpath",
        WARNING,
        "unset PYTHONPATH",
    ),
    # Memory, disk, port
    Environment(
        "1 GB VPS",
        HEALTHY.but(files={"/proc/meminfo": "MemTotal: 1000000 kB\nMemAvailable: 700000 kB\n"}),
        "memory.too_small",
        ERROR,
        "swapon",
    ),
    Environment(
        "memory used up",
        HEALTHY.but(files={"/proc/meminfo": "MemTotal: 16384000 kB\nMemAvailable: 400000 kB\n"}),
        "memory.scarce",
        WARNING,
        "ps -eo rss",
    ),
    Environment(
        "container of 2 GB",
        HEALTHY.but(files={"/sys/fs/cgroup/memory.max": "2147483648\n"}),
        "memory.container_limit",
        WARNING,
        "docker run --memory",
        "137",
    ),
    Environment("disk full", HEALTHY.but(commands={"df": df("/", 0.3)}), "disk.full", ERROR, "pip cache purge"),
    Environment("disk tight", HEALTHY.but(commands={"df": df("/", 6)}), "disk.tight", WARNING, "export ZHILU_HOME="),
    Environment(
        "small tmpfs on /tmp",
        HEALTHY.but(commands={"df -Pk /tmp": df("/tmp", 0.9)}),
        "disk.temp_small",
        WARNING,
        "export TMPDIR=",
        "No space left on device",
    ),
    Environment(
        "home on NFS",
        HEALTHY.but(commands={"df": df("/home", 300)}, files={"/proc/mounts": "nas:/home /home nfs4 rw 0 0\n"}),
        "disk.network_home",
        WARNING,
        "export ZHILU_HOME=",
        "SQLite",
    ),
    Environment(
        "port taken",
        HEALTHY.but(
            commands={
                "ss": 'LISTEN 0 511 127.0.0.1:8642 0.0.0.0:* users:(("node",pid=4711,fd=20))\n',
                "curl": "<html>",
            },
            files={"/proc/4711/cmdline": "node\0server.js\0"},
            ports=frozenset({("127.0.0.1", 8642)}),
        ),
        "port.taken",
        ERROR,
        "kill 4711",
        "node",
    ),
]
