"""A JDK for the sample clients of stages 2 and 5 (java.net.http and the present frameworks)."""

from __future__ import annotations

import re

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import read_system
from zhilu.doctor.runner import ABSENT, Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Java", "Java")
OLDEST = 17  # Spring AI and LangChain4j ask for it; java.net.http itself is there from 11 on


def look(runner: Machine, subject: Subject) -> list[Finding]:
    home = runner.env.get("JAVA_HOME", "")
    if home and runner.run([f"{home}/bin/java", "-version"], timeout=5).code == ABSENT:
        return [
            Finding(
                "java.home_missing",
                Severity.WARNING,
                TITLE,
                T(f"JAVA_HOME={home!r} holds no bin/java.", f"JAVA_HOME={home!r} 下没有 bin/java。"),
                T(
                    "Maven and Gradle go by JAVA_HOME, not by PATH.",
                    "Maven 与 Gradle 依据的是 JAVA_HOME，而不是 PATH。",
                ),
                ("unset JAVA_HOME",),
            )
        ]
    done = runner.run([f"{home}/bin/java" if home else "java", "-version"], timeout=5)
    said = done.err + done.out  # it answers on stderr
    # macOS ships a /usr/bin/java that only asks to install one
    if done.code == ABSENT or "unable to locate a java runtime" in said.lower():
        what = T("Java is not installed.", "没有安装 Java。")
        why = T(
            "Only gates 2.5 and 5.7 (calling the model from Java) need it.",
            "只有 2.5 与 5.7（从 Java 调用模型）需要它。",
        )
        return [Finding("java.absent", Severity.INFO, TITLE, what, why, _install(runner))]
    found = re.search(r'version "(?:1\.)?(\d+)', said)  # Java 8 calls itself 1.8
    major = int(found.group(1)) if found else 0
    if major < OLDEST:
        shown = said.strip().splitlines()[0] if said.strip() else "?"
        why = T(
            "The samples use java.net.http and records; Spring AI and LangChain4j ask for 17.",
            "示例使用 java.net.http 与 record；Spring AI 与 LangChain4j 要求 17。",
        )
        return [
            Finding(
                "java.too_old",
                Severity.WARNING,
                TITLE,
                T(f"{shown}: Java {OLDEST} or newer is needed.", f"{shown}：需要 Java {OLDEST} 或更新版本。"),
                why,
                _install(runner),
            )
        ]
    if not home and runner.which("javac") is None:
        what = T(
            f"Java {major} is a runtime without a compiler (javac).", f"Java {major} 只是运行时，没有编译器（javac）。"
        )
        return [
            Finding(
                "java.no_compiler",
                Severity.INFO,
                TITLE,
                what,
                T("Building the sample needs a JDK.", "编译示例需要 JDK。"),
                _install(runner, major),
            )
        ]
    return [ok("java.works", TITLE, T(f"Java {major}.", f"Java {major}。"))]


def _install(runner: Machine, major: int = OLDEST) -> tuple[str, ...]:
    if read_system(runner).kind == "Darwin":
        return (f"brew install openjdk@{major}",)
    return (f"sudo apt-get install -y openjdk-{major}-jdk",)
