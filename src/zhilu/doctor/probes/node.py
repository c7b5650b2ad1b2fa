"""Node.js for the sample clients of stages 2 and 5 (built-in fetch and streams)."""

from __future__ import annotations

from zhilu.doctor.cuda import parse_version
from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.runner import ABSENT, Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Node.js", "Node.js")
OLDEST = 20  # what the OpenAI library for Node supports
# apt's own package is version 12 on Ubuntu 22.04, hence NodeSource
FIX = ("curl -fsSL https://deb.nodesource.com/setup_22.x | sudo -E bash -", "sudo apt-get install -y nodejs")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    done = runner.run(["node", "--version"])
    if done.code == ABSENT:
        what = T("Node.js is not installed.", "没有安装 Node.js。")
        why = T(
            "Only gates 2.5 and 5.7 (calling the model from Node) need it; the workbench does not.",
            "只有 2.5 与 5.7（从 Node 调用模型）需要它，工作台不需要。",
        )
        return [
            Finding("node.absent", Severity.INFO, TITLE, what, why, FIX, "https://github.com/nodesource/distributions")
        ]
    version = parse_version(done.out)
    if not version or version[0] < OLDEST:
        shown = done.out.strip() or done.err.strip()
        return [
            Finding(
                "node.too_old",
                Severity.WARNING,
                TITLE,
                T(
                    f"Node.js {shown}: version {OLDEST} or newer is needed.",
                    f"Node.js {shown}：需要 {OLDEST} 或更新版本。",
                ),
                T(
                    "The OpenAI library refuses older ones, and before 18 there is no built-in fetch. Ubuntu's own package is old.",
                    "OpenAI 的库不支持更旧的版本，18 之前也没有内置 fetch。Ubuntu 自带的包很旧。",
                ),
                FIX,
                "https://github.com/nodesource/distributions",
            )
        ]
    return [ok("node.works", TITLE, T(f"Node.js {done.out.strip()}.", f"Node.js {done.out.strip()}。"))]
