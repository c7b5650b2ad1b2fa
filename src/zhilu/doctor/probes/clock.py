"""The clock is right: TLS certificates and tokens depend on it, and WSL2's stops while Windows sleeps."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Clock", "时钟")
TOLERATED = 120  # seconds; signed requests usually allow five minutes


def look(runner: Machine, subject: Subject) -> list[Finding]:
    if subject.offline:
        return [ok("clock.not_compared", TITLE, T("Offline: not compared.", "离线模式：没有比对。"))]
    # The same two questions as the hubs probe asks, so they cost nothing more
    endpoint = (runner.env.get("HF_ENDPOINT") or subject.hf_endpoint).rstrip("/")
    stamps = [
        runner.fetch(url).headers.get("date")
        for url in (endpoint, subject.modelscope_endpoint)
        if url.startswith("http")
    ]
    stamp = next((text for text in stamps if text), None)
    here = runner.run(["date", "+%s"]).out.strip()
    if not stamp or not here.isdigit():
        return [
            ok(
                "clock.not_compared",
                TITLE,
                T("No server answered with a time to compare.", "没有服务器返回可比对的时间。"),
            )
        ]
    try:
        skew = int(here) - int(parsedate_to_datetime(stamp).timestamp())
    except (TypeError, ValueError):
        return [
            ok(
                "clock.not_compared",
                TITLE,
                T("No server answered with a time to compare.", "没有服务器返回可比对的时间。"),
            )
        ]
    if abs(skew) <= TOLERATED:
        return [
            ok(
                "clock.right",
                TITLE,
                T(f"Within {max(abs(skew), 1)} s of the hub's.", f"与服务器相差不超过 {max(abs(skew), 1)} 秒。"),
            )
        ]
    direction = T("ahead", "快") if skew > 0 else T("behind", "慢")
    in_wsl = read_system(runner).wsl == 2
    return [
        Finding(
            "clock.skew",
            Severity.ERROR,
            TITLE,
            T(f"The clock is {abs(skew)} s {direction.en}.", f"时钟{direction.zh}了 {abs(skew)} 秒。"),
            T(
                "Certificates look expired or not yet valid, and downloads fail."
                + (" In WSL2 the clock stops while Windows sleeps." if in_wsl else ""),
                "证书会显得已过期或尚未生效，下载会失败。" + ("WSL2 的时钟会在 Windows 睡眠时停住。" if in_wsl else ""),
            ),
            ("sudo hwclock --hctosys",) if in_wsl else ("sudo timedatectl set-ntp true",),
        )
    ]
