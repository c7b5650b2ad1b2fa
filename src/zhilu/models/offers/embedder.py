"""The embedder that understands: multilingual-e5-small, fetched once by ``zhilu up`` beside the first model.

New knowledge bases use it from then on. Those that are there keep theirs: vectors of two embedders cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zhilu.errors import MissingComponentError
from zhilu.jobs import Job, JobContext, JobKind, JobStore
from zhilu.messages import T
from zhilu.models.catalog import catalog
from zhilu.models.embedders.e5 import MODELS, model_folder
from zhilu.models.offers.starter import Wish, fetch_any
from zhilu.setup.base import PartState, newest_job

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["EMBEDDER", "FETCH_EMBEDDER", "EmbedderPart"]

_WISH = Wish(MODELS, "embedder", T("the default embedder", "默认向量模型"))


def run_fetch(job: JobContext, params: dict[str, Any]) -> dict[str, Any]:
    name, came = fetch_any(job, _WISH, (0.0, 1.0))
    job.log(f"{name}: {came.en}")
    return {"model": name, "reason": came.data()}


FETCH_EMBEDDER = JobKind(name="embedder", run=run_fetch, resumable=True, light=True)


class EmbedderPart:
    """The part of the setup that the home page shows (see ``zhilu.setup.base``)."""

    name = "embedder"
    title = T("The multilingual embedder", "多语言向量模型")
    purpose = T(
        "Finds passages by their meaning, in other words and across Chinese and English. New knowledge bases use it.",
        "按含义查找段落：换了说法、跨中英文也能找到。新建的知识库会使用它。",
    )

    def state(self, context: Context) -> PartState:
        wanted = context.settings.embedder
        if wanted not in ("auto", "e5-small"):
            return PartState("declined", T(f"The setting embedder is {wanted!r}.", f"设置 embedder 为 {wanted!r}。"))
        try:
            folder = model_folder(context)
        except MissingComponentError:
            size = min(catalog().get(name).download_bytes for name in MODELS)
            why = T(
                "Until it is here, new knowledge bases use the one in the package.",
                "在它到来之前，新知识库使用自带的向量模型。",
            )
            return PartState("absent", why, is_automatic=context.settings.starter != "none", size_bytes=size)
        return PartState("here", T(f"{folder.name} is in the store.", f"{folder.name} 已在模型仓库中。"))

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, FETCH_EMBEDDER.name)

    def submit(self, context: Context, *, agreed: bool) -> Job:
        title = T("Fetch the multilingual embedder", "获取多语言向量模型")
        return JobStore(context).submit(FETCH_EMBEDDER, {}, title)


EMBEDDER = EmbedderPart()
