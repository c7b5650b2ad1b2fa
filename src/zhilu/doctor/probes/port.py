"""Is the workbench's port free, and if not, who has it?"""

from __future__ import annotations

import re

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Port", "端口")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    port = subject.port
    if port == 0 or runner.connect("127.0.0.1", port) is not None:
        return [ok("port.free", TITLE, T(f"Port {port} is free.", f"端口 {port} 空闲。"))]
    # Not through a proxy: loopback may be missing from no_proxy, which the proxy probe reports
    reply = runner.run(
        ["curl", "--silent", "--noproxy", "*", "--max-time", "2", f"http://127.0.0.1:{port}/zhilu/v1/status"]
    )
    if "uptime_s" in reply.out:
        return [
            ok(
                "port.zhilu",
                TITLE,
                T(f"Zhilu runs at http://127.0.0.1:{port}.", f"指路正在 http://127.0.0.1:{port} 运行。"),
            )
        ]
    pid, program = _holder(runner, port)
    if pid and _is_zhilu(runner, pid):
        return [
            ok(
                "port.zhilu",
                TITLE,
                T(
                    f"Zhilu runs at http://127.0.0.1:{port} (process {pid}).",
                    f"指路正在 http://127.0.0.1:{port} 运行（进程 {pid}）。",
                ),
            )
        ]
    who = f"{program or '?'} ({pid})" if pid else "?"
    fix = (f"zhilu up --port {port + 1}", f"zhilu settings set port {port + 1}")
    return [
        Finding(
            "port.taken",
            Severity.ERROR,
            T(f"Port {port} is taken", f"端口 {port} 被占用"),
            T(f"Port {port} is held by {who}.", f"端口 {port} 被 {who} 占用。"),
            T(
                "The workbench cannot start on it: take another, or stop that program.",
                "工作台无法在其上启动：换一个端口，或停止那个程序。",
            ),
            (*fix, f"kill {pid}") if pid else fix,
        )
    ]


def _holder(runner: Machine, port: int) -> tuple[str, str]:
    if read_system(runner).kind == "Linux":
        listed = runner.run(["ss", "-Hltnp", f"sport = :{port}"])
        found = re.search(r'users:\(\("([^"]+)",pid=(\d+)', listed.out)
        if found:
            return found.group(2), found.group(1)
    listed = runner.run(["lsof", "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"])
    pid, program = re.search(r"^p(\d+)", listed.out, re.MULTILINE), re.search(r"^c(.+)", listed.out, re.MULTILINE)
    return pid.group(1) if pid else "", program.group(1) if program else ""


def _is_zhilu(runner: Machine, pid: str) -> bool:
    line = runner.read(f"/proc/{pid}/cmdline") or runner.run(["ps", "-o", "args=", "-p", pid]).out
    return "zhilu" in line
