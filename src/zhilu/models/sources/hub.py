"""What the two hubs have in common: the many exceptions of their clients become few of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from zhilu.errors import ForbiddenError, NotFoundError, UnreachableError, UpstreamError, ZhiluError
from zhilu.messages import T

__all__ = ["DOWNLOADS_AT_ONCE", "translated"]

DOWNLOADS_AT_ONCE = 4  # files


@contextmanager
def translated(title: str, endpoint: str, repo: str) -> Iterator[None]:
    """The clients' many exceptions as few of ours, told apart by HTTP status."""
    try:
        yield
    except ZhiluError:
        raise
    except Exception as error:
        where = f"{title} ({endpoint})"
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
