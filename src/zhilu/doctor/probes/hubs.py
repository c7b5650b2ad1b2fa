"""Can models be fetched: from Hugging Face, from ModelScope, or not at all?"""

from __future__ import annotations

from zhilu.doctor.finding import Finding, Severity, ok
from zhilu.doctor.runner import Machine, Reply
from zhilu.doctor.subject import HF_MIRROR, Subject
from zhilu.messages import T

TITLE = T("Model hubs", "模型仓库")


def look(runner: Machine, subject: Subject) -> list[Finding]:
    endpoint = _hf_endpoint(runner, subject)
    if not endpoint.startswith(("http://", "https://")):
        return [_malformed(endpoint)]
    if subject.offline:
        return [
            ok(
                "hubs.offline",
                TITLE,
                T(
                    "Offline: the hubs were not asked. The embedded model needs none.",
                    "离线模式：没有联系模型仓库。内置模型不需要它们。",
                ),
            )
        ]
    hf, modelscope = runner.fetch(endpoint), runner.fetch(subject.modelscope_endpoint)
    if _answers(hf):
        other = (
            T("ModelScope too", "ModelScope 也可用")
            if _answers(modelscope)
            else T("ModelScope does not", "ModelScope 没有应答")
        )
        return [ok("hubs.reachable", TITLE, T(f"{endpoint} answers; {other.en}.", f"{endpoint} 可用；{other.zh}。"))]
    if _answers(modelscope):
        return [_only_modelscope(endpoint, hf)]
    if "tls" in (hf.kind, modelscope.kind):
        return [_certificate(endpoint, hf)]
    return [_none(endpoint, hf, modelscope)]


def _hf_endpoint(runner: Machine, subject: Subject) -> str:
    return (runner.env.get("HF_ENDPOINT") or subject.hf_endpoint).rstrip("/")


def _answers(reply: Reply) -> bool:
    return reply.status is not None and reply.status < 500


def _said(reply: Reply) -> str:
    return f"HTTP {reply.status}" if reply.status else reply.error[:120]


def _malformed(endpoint: str) -> Finding:
    return Finding(
        "hubs.endpoint_malformed",
        Severity.ERROR,
        TITLE,
        T(f"HF_ENDPOINT={endpoint!r} has no https:// before it.", f"HF_ENDPOINT={endpoint!r} 前面缺少 https://。"),
        T("Every download from the hub fails.", "所有来自仓库的下载都会失败。"),
        (f"export HF_ENDPOINT=https://{endpoint}",),
    )


def _only_modelscope(endpoint: str, hf: Reply) -> Finding:
    return Finding(
        "hubs.only_modelscope",
        Severity.WARNING,
        TITLE,
        T(
            f"{endpoint} does not answer ({_said(hf)}); ModelScope does.",
            f"{endpoint} 没有应答（{_said(hf)}）；ModelScope 可用。",
        ),
        T(
            "Usual in mainland China. Fetch models from ModelScope, or through a mirror of Hugging Face.",
            "在中国大陆很常见。可以从 ModelScope 下载模型，或使用 Hugging Face 的镜像。",
        ),
        (f"zhilu settings set hf_endpoint {HF_MIRROR}", f"export HF_ENDPOINT={HF_MIRROR}"),
        HF_MIRROR,
    )


def _certificate(endpoint: str, hf: Reply) -> Finding:
    return Finding(
        "hubs.certificate",
        Severity.WARNING,
        TITLE,
        T(
            f"{endpoint}: the certificate is not trusted ({hf.error[:120]}).",
            f"{endpoint}：证书不被信任（{hf.error[:120]}）。",
        ),
        T(
            "A company's proxy re-signs HTTPS: add its certificate to the system's.",
            "公司代理重新签发了 HTTPS：请把它的证书加入系统证书。",
        ),
        (
            "sudo cp COMPANY.crt /usr/local/share/ca-certificates/ && sudo update-ca-certificates",
            "export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
        ),
    )


def _none(endpoint: str, hf: Reply, modelscope: Reply) -> Finding:
    return Finding(
        "hubs.unreachable",
        Severity.WARNING,
        TITLE,
        T(
            f"Neither {endpoint} ({_said(hf)}) nor ModelScope ({_said(modelscope)}) answers.",
            f"{endpoint}（{_said(hf)}）与 ModelScope（{_said(modelscope)}）都没有应答。",
        ),
        T(
            "The embedded model and everything on your own documents work offline. To bring a model: copy its folder here and import it.",
            "内置模型和对自己文档的全部功能都可离线使用。要用别的模型：把模型目录拷贝过来再导入。",
        ),
        ("zhilu model import /path/to/model-folder", "zhilu settings set offline true"),
    )
