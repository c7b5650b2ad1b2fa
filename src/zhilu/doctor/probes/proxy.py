"""Proxy variables: the most common reason for 'it works in the browser but not here'."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.machine import read_system
from zhilu.doctor.runner import Machine
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("Proxy", "代理")
NAMES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
KNOWN_SCHEMES = ("http", "https", "socks4", "socks5", "socks5h")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    set_to = {name: runner.env[name] for name in NAMES if runner.env.get(name)}
    if not set_to:
        return [ok("proxy.none", TITLE, T("No proxy is set.", "没有设置代理。"))]
    for name, value in set_to.items():
        problem = _malformed(name, value)
        if problem:
            return [problem]
    findings = [] if _leaves_loopback_out(runner) else [_loopback_through_proxy()]
    value = next(iter(set_to.values()))
    if not subject.offline:
        at = urlsplit(value)
        error = runner.connect(at.hostname or "", at.port or 80)
        if error:
            return [*findings, _dead(runner, value, error)]
    return findings or [
        ok(
            "proxy.works",
            TITLE,
            T(f"Proxy {_shown(value)}; local addresses go direct.", f"代理 {_shown(value)}；本机地址直连。"),
        )
    ]


def _shown(value: str) -> str:
    return re.sub(r"//[^@/]*@", "//***@", value)  # a proxy's password is nobody's business


def _malformed(name: str, value: str) -> Finding | None:
    try:
        at = urlsplit(value)
        scheme, host, _ = at.scheme, at.hostname, at.port  # reading the port raises where it is no number
    except ValueError:
        scheme, host = "", None
    if scheme in KNOWN_SCHEMES and host:
        return None
    guess = re.search(r"([\w.-]+):(\d{2,5})/?$", value)
    mended = f"http://{guess.group(1)}:{guess.group(2)}" if guess else "http://127.0.0.1:7890"
    return Finding(
        "proxy.malformed",
        Severity.ERROR,
        T("A proxy variable cannot be used", "代理变量写法有误"),
        T(
            f"{name}={_shown(value)!r} is not a URL with a scheme and a host.",
            f"{name}={_shown(value)!r} 不是带协议和主机的地址。",
        ),
        T(
            "Python's HTTP libraries refuse it, so nothing is downloaded.",
            "Python 的 HTTP 库会拒绝它，于是什么都下载不了。",
        ),
        (f"export {name}={mended}",),
    )


def _leaves_loopback_out(runner: Machine) -> bool:
    rules = {rule.strip().lower() for name in ("no_proxy", "NO_PROXY") for rule in runner.env.get(name, "").split(",")}
    return "*" in rules or {"localhost", "127.0.0.1"} <= rules or ("localhost" in rules and "127.0.0.0/8" in rules)


def _loopback_through_proxy() -> Finding:
    return Finding(
        "proxy.loopback",
        Severity.WARNING,
        T("Local addresses go through the proxy", "本机地址也走了代理"),
        T(
            "A proxy is set, and no_proxy does not name both localhost and 127.0.0.1.",
            "设置了代理，但 no_proxy 里没有同时写上 localhost 和 127.0.0.1。",
        ),
        T(
            "curl, the OpenAI client and Node then send http://127.0.0.1:8642 to the proxy, which answers 502 or 503.",
            "curl、OpenAI 客户端和 Node 会把 http://127.0.0.1:8642 也发给代理，得到 502 或 503。",
        ),
        ("export no_proxy=localhost,127.0.0.1,::1 NO_PROXY=localhost,127.0.0.1,::1",),
    )


def _dead(runner: Machine, value: str, error: str) -> Finding:
    at = urlsplit(value)
    in_wsl_nat = read_system(runner).wsl == 2 and at.hostname in ("127.0.0.1", "localhost")
    why = T(
        "Every download fails until the proxy runs or the variable goes.",
        "在代理启动或删除该变量之前，所有下载都会失败。",
    )
    fix: tuple[str, ...] = ("unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY",)
    if in_wsl_nat:
        why = T(
            "In WSL2, 127.0.0.1 is Linux, not Windows, where the proxy runs. Let the proxy accept connections "
            "from the local network and use the address of Windows.",
            "在 WSL2 里 127.0.0.1 指的是 Linux 自己，而代理运行在 Windows 上。请让代理允许局域网连接，并使用 Windows 的地址。",
        )
        port = at.port or 7890
        fix = (
            f"export https_proxy=http://$(ip route show default | awk '{{print $3}}'):{port} http_proxy=http://$(ip "
            f"route show default | awk '{{print $3}}'):{port}",
        )
    return Finding(
        "proxy.dead",
        Severity.ERROR,
        T("The proxy does not answer", "代理没有应答"),
        T(f"{_shown(value)} does not answer: {error}", f"{_shown(value)} 没有应答：{error}"),
        why,
        fix,
        "https://learn.microsoft.com/windows/wsl/networking" if in_wsl_nat else None,
    )
