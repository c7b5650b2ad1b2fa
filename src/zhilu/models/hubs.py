"""Where models are pulled from: the Hugging Face hub and ModelScope, each through its own official client.

Both clients resume files that were cut off. Neither is asked anything before one short look whether its endpoint answers
at all: their own retries would keep an offline person waiting for minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from zhilu.errors import (
    ForbiddenError,
    MissingComponentError,
    NotFoundError,
    UnreachableError,
    UpstreamError,
    ZhiluError,
)
from zhilu.messages import T
from zhilu.registry import Registry
from zhilu.settings import Settings

__all__ = ["Hub", "HuggingFace", "ModelScope", "Remote", "RemoteFile", "hub_for", "hub_names"]

_LOOK = 6.0  # seconds an endpoint has to answer before it counts as unreachable
_WORKERS = 4  # files at once


class RemoteFile(NamedTuple):
    """A file of a repository; the hub knows the hash of large files only."""

    name: str
    size: int
    sha256: str | None


class Remote(NamedTuple):
    """A repository at one revision; ``revision`` is the commit where the hub tells it."""

    revision: str
    files: list[RemoteFile]


class Hub(Protocol):
    """A place with repositories.

    ``look`` and ``fetch`` raise UnreachableError (no answer), NotFoundError (no such repository or revision),
    ForbiddenError (a licence to accept or a token is needed), MissingComponentError (the client is not installed),
    UpstreamError (anything else). Each message says what was asked where.
    """

    title: str
    endpoint: str

    def look(self, repo: str, revision: str | None) -> Remote:
        """What there is. At most a few seconds when nobody answers."""

    def fetch(self, repo: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        """Bring files into ``folder``; goes on with what an earlier call left there.

        ``go_on`` is called, from several threads, after each piece of a file: what it raises ends the call soon.
        """


class HuggingFace:
    """See ``Hub``. A token comes from HF_TOKEN or the client's own login."""

    title = "Hugging Face"

    def __init__(self, settings: Settings) -> None:
        self.endpoint = (settings.hf_endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        # Read by the client when it is imported, so set here, in the job's own process.
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
        if settings.hf_endpoint:
            os.environ["HF_HUB_DISABLE_XET"] = "1"  # a mirror has no Xet storage behind it

    def look(self, repo: str, revision: str | None) -> Remote:
        from huggingface_hub import HfApi

        _refuse_silence(self, repo, "zhilu settings set hf_endpoint https://hf-mirror.com")
        with _translated(self, repo):
            info = HfApi(endpoint=self.endpoint).model_info(
                repo, revision=revision, files_metadata=True, timeout=_LOOK * 2
            )
        files = [
            RemoteFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None)
            for item in info.siblings or []
        ]
        return Remote(info.sha or revision or "main", files)

    def fetch(self, repo: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import tqdm

        class Watched(tqdm):
            """The client's progress bar, which it calls after each piece: the only place where one can stop it."""

            def update(self, n: float | None = 1) -> bool | None:
                go_on()
                return super().update(n)

        with _translated(self, repo):
            snapshot_download(
                repo,
                revision=revision,
                local_dir=folder,
                allow_patterns=list(names),
                max_workers=_WORKERS,
                endpoint=self.endpoint,
                tqdm_class=Watched,
            )


class ModelScope:
    """See ``Hub``. Uses ``modelscope-hub``, the client without the model library around it (which imports torch)."""

    title = "ModelScope"

    def __init__(self, settings: Settings) -> None:
        given = settings.modelscope_endpoint or os.environ.get("MODELSCOPE_ENDPOINT")
        self.endpoint = (given or "https://www.modelscope.cn").rstrip("/")

    def look(self, repo: str, revision: str | None) -> Remote:
        _refuse_silence(self, repo, "zhilu settings set modelscope_endpoint https://www.modelscope.ai")
        with _translated(self, repo), _modelscope_client(self.endpoint) as client:
            found = client.list_repo_files(repo, "model", revision=revision)
        files = [RemoteFile(item.path, item.size, item.sha256 or None) for item in found if item.type == "blob"]
        return Remote(revision or "master", files)

    def fetch(self, repo: str, revision: str, names: Sequence[str], folder: Path, go_on: Callable[[], None]) -> None:
        with _translated(self, repo), _modelscope_client(self.endpoint, folder) as client:
            from modelscope_hub import ProgressCallback

            class Watched(ProgressCallback):
                def update(self, size: int) -> None:
                    go_on()

            client.download_repo(
                repo,
                "model",
                revision=revision,
                local_dir=folder,
                allow_patterns=list(names),
                max_workers=_WORKERS,
                progress_callbacks=[Watched],
            )


_HUBS: dict[str, Callable[[Settings], Hub]] = {"hf": HuggingFace, "modelscope": ModelScope}


def hub_names() -> list[str]:
    return list(_HUBS)


def hub_for(source: str, settings: Settings) -> Hub:
    """The hub called ``source``.

    Raises:
        NotFoundError: no such hub.
        UnreachableError: the setting ``offline`` forbids it.
    """
    registry: Registry[Callable[[Settings], Hub]] = Registry(T("model hub", "模型仓库"))
    for name, make in _HUBS.items():
        registry.add(name, make)
    make = registry.get(source)
    if settings.offline:
        raise UnreachableError(
            T("The setting offline is on: no model hub is contacted.", "设置 offline 已开启：不会连接任何模型仓库。"),
            param="offline",
            fix="zhilu settings unset offline",
        )
    return make(settings)


def _refuse_silence(hub: Hub, repo: str, mirror: str) -> None:
    """One short look at the endpoint; any answer will do. Proxies from the environment are honoured."""
    import httpx

    try:
        httpx.head(hub.endpoint, timeout=_LOOK)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError) as error:  # ImportError: a SOCKS proxy
        reason = str(error) or type(error).__name__
        raise UnreachableError(
            T(
                f"{hub.title} does not answer at {hub.endpoint} ({reason}): {repo!r} cannot be pulled. Use a mirror, or set "
                "HTTPS_PROXY to your proxy, or bring the folder by other means: zhilu model import FOLDER",
                f"{hub.title} 在 {hub.endpoint} 没有应答（{reason}）：无法拉取 {repo!r}。请改用镜像，或用 HTTPS_PROXY 设置代理，"
                "或用其他方式取得目录后运行：zhilu model import FOLDER",
            ),
            code="hub_unreachable",
            fix=mirror,
        ) from error


@contextmanager
def _modelscope_client(endpoint: str, folder: Path | None = None) -> Iterator[Any]:
    try:
        from modelscope_hub import HubApi, HubConfig
    except ImportError as error:
        raise MissingComponentError(
            T("ModelScope's client is not installed.", "没有安装魔搭（ModelScope）的客户端。"),
            fix="pip install modelscope-hub",
        ) from error
    config = HubConfig(endpoint=endpoint)
    if folder is not None:
        config.cache_dir = folder / ".cache"  # removed with the folder: nothing is left behind elsewhere
    client = HubApi(config)
    yield client


@contextmanager
def _translated(hub: Hub, repo: str) -> Iterator[None]:
    """The clients' many exceptions as few of ours, told apart by HTTP status."""
    try:
        yield
    except ZhiluError:
        raise
    except Exception as error:
        where = f"{hub.title} ({hub.endpoint})"
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        named = type(error).__name__
        if status in (401, 403) or named in ("GatedRepoError", "AuthenticationError", "PermissionDeniedError"):
            raise ForbiddenError(
                T(
                    f"{where} does not let us read {repo!r}: it does not exist, or it asks for a login or for its licence "
                    "to be accepted on its page. Then set HF_TOKEN (MODELSCOPE_API_TOKEN).",
                    f"{where} 不允许读取 {repo!r}：它不存在，或需要登录、或需要先在网页上接受许可协议。"
                    "之后请设置 HF_TOKEN（MODELSCOPE_API_TOKEN）。",
                ),
                param="repo",
                code="repo_forbidden",
            ) from error
        if status == 404 or named == "NotExistError":
            raise NotFoundError(
                T(f"{where} has no model {repo!r} at this revision.", f"{where} 上没有模型 {repo!r} 的这个版本。"),
                param="repo",
                code="repo_not_found",
            ) from error
        first = str(error).strip().splitlines()[0] if str(error).strip() else named
        kind = UnreachableError if isinstance(error, (ConnectionError, TimeoutError)) else UpstreamError
        raise kind(
            T(f"Pulling {repo!r} from {where} failed: {first}", f"从 {where} 拉取 {repo!r} 失败：{first}"),
            code="pull_failed",
            fix="zhilu jobs list",
        ) from error
