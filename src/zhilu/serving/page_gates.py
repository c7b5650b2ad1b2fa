"""Gate 5.6: a chat page shows the answer while the model writes it, can be stopped, and says what went wrong.

Two pages: the React sample that one takes home (``clients/react``, built here and served with its own proxy) and the workbench's
chat. A Chromium of this machine shows them; where there is none, the sample's built stream module is read in Node.js, and the
workbench is not judged. That a stop reached the model is read from the gateway's log, where the request ends as "client left".
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from zhilu.client import connect
from zhilu.context import Context
from zhilu.errors import UpstreamError, ZhiluError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.messages import T
from zhilu.models.chosen import default_model
from zhilu.serving.client_gates import Find, logged_requests
from zhilu.serving.proofs.browser import find_chromium, open_page
from zhilu.serving.proofs.client_tools import Missing, Node, Runtime, samples_folder
from zhilu.serving.proofs.page_proof import InBrowser, InNode, Reader, Seen, Selectors

__all__ = ["GATES", "check_pages", "judge_page"]

_STOPS = 3  # a fast model may have said all before the stop arrives
_QUESTION = "Count from one to thirty in words. 从一数到三十。"
_NOBODY = "no-such-model"
_LOG_WAIT_S = 10.0
_SAMPLE = Selectors("textarea", "article.assistant", "[data-stop]", 'main[aria-busy="false"]')
_WORKBENCH = Selectors(
    "textarea[data-slash]:enabled", "article[aria-busy]", "button:has(svg.lucide-square)",
    'article[aria-busy="false"]', waiting="[aria-busy=true] > div > p:only-child",
)  # fmt: skip


def find_react(context: Context) -> Runtime | Missing:
    return Node.with_packages(context, "react")


def check_pages(
    context: Context, *, find: Find = find_react, chromium: Callable[[], str | None] = find_chromium
) -> Verdict:
    """5.6: the sample and the workbench. ``find`` and ``chromium`` are there for tests."""
    if context.settings.base_url:
        return Verdict.cannot_run_here(
            T("The gateway is another machine's: its log cannot be read.", "网关在另一台机器上，读不到它的日志。"),
            fix="zhilu settings unset base_url",
            because=Because.SETTING,
        )
    found = find(context)
    if isinstance(found, Missing):
        return Verdict.cannot_run_here(found.why, fix=found.fix, because=Because.COMPONENT)

    async def ask() -> Verdict:
        async with connect(context) as client:
            return await asyncio.to_thread(_check, context, found, client.base_url, _that_starts(chromium()))

    try:
        return asyncio.run(ask())
    except ZhiluError as error:
        return Verdict.failed(error.message, fix=error.fix)


def _that_starts(chromium: str | None) -> str | None:
    """None as well where it is there and cannot start: its sandbox is forbidden in some containers."""
    if chromium is None:
        return None
    try:
        with open_page(chromium):
            return chromium
    except UpstreamError:
        return None


def _check(context: Context, node: Runtime, url: str, chromium: str | None) -> Verdict:
    folder = node.home or samples_folder() / "react"
    built = context.home.cache / "clients" / "react-built"
    _build(node, folder, built / "page")
    figures = [Figure(T("Node.js", "Node.js"), node.version)]
    with _served(context, node, folder, built / "page", url) as origin:
        if chromium is None:
            _build(node, folder, built / "module", "--ssr", "src/stream.ts")
            reader = InNode(node.program, built / "module" / "stream.js", origin, {**os.environ, **node.env})
            seen = judge_page(context, reader, T("The React sample", "React 示例"), figures)
            way = T(
                "No Chromium starts here: the sample's stream module was read in Node.js, and the workbench was not looked at.",
                "本机没有能启动的 Chromium：用 Node.js 读了示例的流模块，没有查看工作台。",
            )
        else:
            key = context.settings.api_key
            with open_page(chromium, {"Authorization": f"Bearer {key}"} if key else None) as (page, version):
                figures.append(Figure(T("browser", "浏览器"), version))
                seen = judge_page(
                    context, InBrowser(page, f"{origin}/", _SAMPLE), T("The React sample", "React 示例"), figures
                )
                if not isinstance(seen, Verdict):
                    workbench = InBrowser(page, f"{url.removesuffix('/v1')}/chat", _WORKBENCH, names_model=False)
                    wrong = _judge_workbench(context, workbench, figures)
                    seen = wrong or seen
            way = T("Both pages were shown by this machine's browser.", "两个页面都由本机浏览器显示。")
    if isinstance(seen, Verdict):
        return replace(seen, figures=figures)
    files = [path for path in sorted((built / "page").rglob("*")) if path.is_file()]
    moments = json.dumps([[round(at, 3), n] for at, n in seen.moments]).encode()
    return Verdict.passed(
        T(
            f"Words were shown while the model wrote them, a stop stopped the model, an error was said. {way.en}",
            f"模型书写的同时文字就显示出来，停止按钮停住了模型，错误也说明了。{way.zh}",
        ),
        *figures,
        artefacts=[
            *(Artefact.of(path, str(path.relative_to(built))) for path in files),
            Artefact.of_bytes("moments.json", moments),
        ],
    )


def judge_page(context: Context, reader: Reader, name: T, figures: list[Figure]) -> Seen | Verdict:
    """What was seen of a whole answer; or the verdict of what is wrong. ``figures`` grows."""
    model = default_model(context).name
    seen = reader.ask(_QUESTION, model=model)
    row = _row_of(context, seen)
    if seen.error or not seen.is_ended or len(seen.moments) < 3:
        return _failed(name, _lacking(seen))
    if row is None or not row["stream"] or row["model"] != model:
        return _failed(name, T("the gateway's log has no such stream", "网关日志里没有这次流式请求"))
    if seen.spread < 0.2 * _writing_seconds(row):
        return _failed(
            name,
            T(f"all pieces were shown within {seen.spread:.3f} s: they were held back",
              f"所有片段在 {seen.spread:.3f} 秒内显示：它们被攒在一起"),
        )  # fmt: skip
    figures += _figures(name, seen)
    for _ in range(_STOPS):
        stopped = reader.ask(_QUESTION, model=model, stops=True)
        if stopped.stopped_at is None:
            return _failed(name, T("there was nothing to stop it with", "没有可用来停止的按钮"))
        left = _row_of(context, stopped)
        if left is not None and left["code"] == "client_left":
            break
    else:
        return _failed(name, T("the model wrote on after the stop", "按停止后模型仍在继续写"))
    later = max(0.0, stopped.moments[-1][0] - stopped.stopped_at)
    if later > 1.0 or stopped.error:
        why = stopped.error or f"{later:.1f} s"
        return _failed(name, T(f"words came after the stop ({why})", f"停止后仍有文字出现（{why}）"))
    wrong = reader.ask(_QUESTION, model=_NOBODY)
    if _NOBODY not in wrong.error:
        return _failed(
            name, T(f"of a missing model it says {wrong.error!r}", f"模型不存在时它显示的是 {wrong.error!r}")
        )
    return seen


def _judge_workbench(context: Context, reader: InBrowser, figures: list[Figure]) -> Verdict | None:
    """Words in pieces. Stopping and errors of the workbench are its own tests' affair; the conversation is deleted again."""
    name = T("The workbench", "工作台")
    home = reader.address.removesuffix("/chat")
    if "zhilu" not in httpx.get(home, trust_env=False, timeout=20).text.lower():
        return _failed(name, T("it is not built here", "这里没有构建"))
    reader.page.go(reader.address)
    seen = reader.ask(_QUESTION, model="")
    made = str(reader.page.look("location.pathname")).removeprefix("/chat").strip("/")
    if made:
        reader.page.look(f"fetch('/zhilu/v1/conversations/{made}', {{method: 'DELETE'}}).then(r => r.status)")
    if not seen.is_ended or len(seen.moments) < 3:
        return _failed(name, _lacking(seen))
    figures += _figures(name, seen)
    return None


def _figures(name: T, seen: Seen) -> list[Figure]:
    return [
        Figure(T(f"{name.en}: pieces", f"{name.zh}：片段数"), len(seen.moments)),
        Figure(T(f"{name.en}: first to last", f"{name.zh}：首末间隔"), round(seen.spread, 3), "s"),
    ]


def _row_of(context: Context, seen: Seen) -> dict[str, Any] | None:
    if not seen.requests:
        return None
    return logged_requests(context, seen.requests[-1:], wait=_LOG_WAIT_S).get(seen.requests[-1])


def _writing_seconds(row: dict[str, Any]) -> float:
    return max(0.0, float(row["seconds"]) - float(row["first_byte_s"])) if row["first_byte_s"] is not None else 0.0


def _lacking(seen: Seen) -> T:
    if seen.error:
        return T(f"it shows an error: {seen.error}", f"它显示错误：{seen.error}")
    n, ended = len(seen.moments), seen.is_ended
    return T(
        f"{n} pieces were shown, and the end {'came' if ended else 'did not come'}",
        f"显示了 {n} 个片段，{'有' if ended else '没有'}结束",
    )


def _failed(name: T, why: T) -> Verdict:
    fix = "zhilu up" if name.en == "The workbench" else "cd clients/react && npm run dev"
    return Verdict.failed(T(f"{name.en}: {why.en}.", f"{name.zh}：{why.zh}。"), fix=fix)


def _vite(node: Runtime, folder: Path, *words: str) -> list[str]:
    return [node.program, str(folder / "node_modules/vite/bin/vite.js"), *words]


def _build(node: Runtime, folder: Path, out: Path, *words: str) -> None:
    command = _vite(node, folder, "build", "--logLevel", "error", "--emptyOutDir", "--outDir", str(out), *words)
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **node.env}, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-400:]
        raise UpstreamError(
            T(f"clients/react cannot be built: {said}", f"无法构建 clients/react：{said}"),
            fix="cd clients/react && npm run build",
        )


@contextmanager
def _served(context: Context, node: Runtime, folder: Path, built: Path, url: str) -> Iterator[str]:
    """The built page by its own server, whose proxy asks ``url``; the page's origin."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, **node.env, "ZHILU_URL": url}
    env.pop("ZHILU_API_KEY", None)
    if context.settings.api_key:
        env["ZHILU_API_KEY"] = context.settings.api_key
    command = _vite(
        node, folder, "preview", "--host", "127.0.0.1", "--port", str(port), "--strictPort", "--outDir", str(built)
    )
    log = context.home.logs / "page-react.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], origin: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if _answers(origin):
            return
        time.sleep(0.1)
    tail = log.read_text(encoding="utf-8", errors="replace").strip()[-400:] or "-"
    raise UpstreamError(T(f"The page's server did not start: {tail}", f"页面的服务没有启动：{tail}"), fix=f"cat {log}")


def _answers(origin: str) -> bool:
    try:
        return httpx.get(origin, trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False


GATES: tuple[Gate, ...] = (
    Gate(
        "5.6",
        T("Chat pages show the answer as it is written", "聊天页面边写边显示回答"),
        check_pages,
        ("2.5",),
        slow=True,
    ),
)
