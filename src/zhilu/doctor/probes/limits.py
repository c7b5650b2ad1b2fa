"""How many files may a process open? A server with many connections and a model in many shards needs more than 256."""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Open files", "可打开文件数")
LEAST = 1024


def look(runner: Machine, subject: Subject) -> list[Finding]:
    answered = runner.run(["sh", "-c", "ulimit -n"]).out.strip()
    if answered == "unlimited":
        return [ok("limits.files", TITLE, T("Unlimited.", "不限。"))]
    if not answered.isdigit():
        return [Finding("limits.unknown", Severity.INFO, TITLE, T("The limit could not be read.", "无法读取该限制。"))]
    if int(answered) < LEAST:
        return [
            Finding(
                "limits.files_low",
                Severity.WARNING,
                TITLE,
                T(f"A process may open {answered} files.", f"一个进程最多只能打开 {answered} 个文件。"),
                T(
                    "Servers under load and parallel downloads end with 'Too many open files'.",
                    "高并发服务和并行下载会报 'Too many open files'。",
                ),
                ("ulimit -n 65536", "echo 'ulimit -n 65536' >> ~/.bashrc"),
            )
        ]
    return [ok("limits.files", TITLE, T(f"{answered} files per process.", f"每个进程 {answered} 个文件。"))]
