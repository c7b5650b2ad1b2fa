"""pip works in this environment, and the index it is told to use answers."""

from __future__ import annotations

import re

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.runner import Completed, Machine, Reply
from zhilu.doctor.subject import Subject
from zhilu.messages import T

TITLE = T("pip", "pip")
PYPI = "https://pypi.org/simple"
MIRROR = "https://pypi.tuna.tsinghua.edu.cn/simple"


def look(runner: Machine, subject: Subject) -> list[Finding]:
    version = runner.run([subject.python, "-m", "pip", "--version"], timeout=5)
    if not version.ok:
        return [_missing(version)]
    number = version.out.split()[1] if len(version.out.split()) > 1 else "?"
    config = runner.run([subject.python, "-m", "pip", "config", "list"], timeout=5).out
    index, source = _index(runner, config)
    if not re.match(r"(https?|file)://", index):
        return [_bad_index(index, source)]
    if subject.offline or index.startswith("file:"):
        return [
            ok(
                "pip.works",
                TITLE,
                T(
                    f"pip {number}; index {_shown(index)} (not asked).",
                    f"pip {number}；软件源 {_shown(index)}（未联网检查）。",
                ),
            )
        ]
    reply = runner.fetch(index.rstrip("/") + "/pip/")
    if reply.status is not None and reply.status < 400:
        return [
            ok(
                "pip.works",
                TITLE,
                T(f"pip {number}; index {_shown(index)} answers.", f"pip {number}；软件源 {_shown(index)} 可用。"),
            )
        ]
    if reply.kind == "tls":
        return [_certificate(index, reply)]
    return [_unreachable(index, source, reply)]


def _index(runner: Machine, config: str) -> tuple[str, str]:
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"):
        if runner.env.get(name):
            return runner.env[name].strip(), name
    found = re.search(r"^(?:global|install|user|site)\.index-url='(.*)'$", config, re.MULTILINE)
    return (found.group(1).strip(), "pip config") if found else (PYPI, "")


def _shown(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//***@", url)


def _reset(source: str) -> str:
    return f"unset {source}" if source.isupper() else "python -m pip config unset global.index-url"


def _missing(version: Completed) -> Finding:
    said = (version.err.strip().splitlines() or ["no answer"])[-1]
    return Finding(
        "pip.missing",
        Severity.ERROR,
        TITLE,
        T(f"pip does not work in this environment: {said}", f"pip 在这个环境里不可用：{said}"),
        T("Without it nothing can be installed here.", "没有它，这里什么都装不了。"),
        ("python -m ensurepip --upgrade",),
    )


def _bad_index(index: str, source: str) -> Finding:
    return Finding(
        "pip.index_malformed",
        Severity.ERROR,
        T("pip's index is not a URL", "pip 软件源地址写错了"),
        T(f"{source} says {index!r}.", f"{source} 的值是 {index!r}。"),
        T(
            "pip needs an address that begins with https:// and usually ends in /simple.",
            "pip 需要以 https:// 开头、通常以 /simple 结尾的地址。",
        ),
        (_reset(source), f"python -m pip config set global.index-url {MIRROR}"),
    )


def _certificate(index: str, reply: Reply) -> Finding:
    return Finding(
        "pip.certificate",
        Severity.ERROR,
        T("The certificate of pip's index is not trusted", "pip 软件源的证书不被信任"),
        T(f"{_shown(index)}: {reply.error[:160]}", f"{_shown(index)}：{reply.error[:160]}"),
        T(
            "A company's proxy re-signs HTTPS with a certificate of its own, the clock is wrong, or ca-certificates "
            "is missing. Never switch verification off: name the company's certificate.",
            "可能是公司代理用自签证书重新签发了 HTTPS、系统时钟不准，或缺少 ca-certificates。不要关闭校验，而应指定公司的证书。",
        ),
        (
            "sudo apt-get install -y ca-certificates && sudo update-ca-certificates",
            "python -m pip config set global.cert /etc/ssl/certs/ca-certificates.crt",
            "export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
        ),
        "https://pip.pypa.io/en/stable/topics/https-certificates/",
    )


def _unreachable(index: str, source: str, reply: Reply) -> Finding:
    said = f"HTTP {reply.status}" if reply.status else reply.error[:160]
    reset = (_reset(source),) if source else ()
    return Finding(
        "pip.index_unreachable",
        Severity.ERROR if source else Severity.WARNING,
        T("pip's index does not answer", "pip 软件源没有应答"),
        T(
            f"{_shown(index)}{f' (from {source})' if source else ''}: {said}",
            f"{_shown(index)}{f'（来自 {source}）' if source else ''}：{said}",
        ),
        T(
            "Installing fails or waits for minutes. In mainland China a mirror is the usual way.",
            "安装会失败或等待数分钟。在中国大陆通常使用镜像源。",
        ),
        (*reset, f"python -m pip config set global.index-url {MIRROR}"),
        "https://mirrors.tuna.tsinghua.edu.cn/help/pypi/",
    )
