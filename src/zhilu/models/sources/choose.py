"""Which source a catalogue model comes from: the first, in the catalogue's order, that answers and has it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from zhilu.errors import UnreachableError, UpstreamError, ZhiluError
from zhilu.messages import T
from zhilu.models.catalog import CatalogModel, catalog
from zhilu.models.sources import sources
from zhilu.models.sources.base import ModelSource, Remote
from zhilu.settings import Settings

__all__ = ["Chosen", "checked_look", "choose_source"]


class Chosen(NamedTuple):
    """A source that has the model, where there, what it has, and why it was taken."""

    source: ModelSource
    place: str
    remote: Remote
    reason: T


def choose_source(model: CatalogModel, settings: Settings, on_answer: Callable[[str], None] = lambda _: None) -> Chosen:
    """All sources that could have it are asked at once; the first in order that has it is taken, without waiting for those
    after it.

    Args:
        on_answer: told one line about each source that is passed over.

    Raises:
        UnreachableError: none has it; says what each said.
    """
    there = sources(settings)
    order = [name for name in catalog().order if name in there] + [n for n in there if n not in catalog().order]
    places = [(there[name], there[name].place_of(model)) for name in order]
    asked = [(source, place) for source, place in places if place is not None]
    offline = settings.offline
    passed: list[T] = []
    pool = ThreadPoolExecutor(max(len(asked), 1), "look")
    try:
        looks = [
            (s, place, None if offline and s.facts.online else pool.submit(checked_look, model, s, place))
            for s, place in asked
        ]
        for source, place, look in looks:
            found = _said(source, _OFFLINE) if look is None else _answer(source, look)
            if isinstance(found, Remote):
                return Chosen(source, place, found, _reason(source, passed))
            passed.append(found)
            on_answer(found.en)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    listed = T(
        "; ".join(p.en for p in passed) or "no source is set", "；".join(p.zh for p in passed) or "没有设置任何来源"
    )
    raise UnreachableError(
        T(
            f"No source has {model.name!r} for this machine: {listed.en}. Set a mirror or a proxy (HTTPS_PROXY), or bring the "
            "file by other means: zhilu model import FILE",
            f"没有来源能为这台机器提供 {model.name!r}：{listed.zh}。请设置镜像或代理（HTTPS_PROXY），"
            "或用其他方式取得文件后运行：zhilu model import FILE",
        ),
        param="source",
        code="no_source",
        fix="zhilu settings list",
    )


def checked_look(model: CatalogModel, source: ModelSource, place: str, revision: str | None = None) -> Remote:
    """What a source has of a model, the files of the catalogue only.

    Raises:
        UpstreamError: it lacks the file, or states another hash for it than the maker: it is not the maker's file.
    """
    remote = source.look(place, revision)
    if not model.files:
        return remote
    names = set(model.choose([file.name for file in remote.files]))
    if not names:
        wanted = ", ".join(model.patterns)
        raise UpstreamError(
            T(f"{place!r} there has no {wanted}", f"那里的 {place!r} 没有 {wanted}"), code="repo_not_found"
        )
    for file in remote.files:
        right = model.hashes.get(file.name)
        if file.name in names and right and file.sha256 and file.sha256 != right:
            raise UpstreamError(
                T(
                    f"{file.name} there is not the maker's file: SHA-256 {file.sha256}, not {right}",
                    f"那里的 {file.name} 不是原厂文件：SHA-256 是 {file.sha256}，应为 {right}",
                ),
                code="wrong_hash",
            )
    return Remote(remote.revision, [file for file in remote.files if file.name in names])


_OFFLINE = T("the setting offline is on", "设置 offline 已开启")
_SILENT = T("does not answer", "没有应答")


def _answer(source: ModelSource, look: Future[Remote]) -> Remote | T:
    try:
        return look.result()
    except UnreachableError as error:
        return _said(source, _SILENT if error.code == "hub_unreachable" else error.message)
    except ZhiluError as error:
        return _said(source, error.message)


def _said(source: ModelSource, why: T) -> T:
    return T(f"{source.facts.title.en}: {why.en.rstrip('.')}", f"{source.facts.title.zh}：{why.zh.rstrip('。')}")


def _reason(source: ModelSource, passed: list[T]) -> T:
    title = source.facts.title
    if not passed:
        return T(f"{title.en} is the first that has it", f"{title.zh}是第一个能提供它的来源")
    return T(
        f"{title.en} has it; before it were asked: " + "; ".join(p.en for p in passed),
        f"{title.zh}能提供；在它之前询问过：" + "；".join(p.zh for p in passed),
    )
