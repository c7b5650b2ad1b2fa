"""The first model as a part that arrives after the workbench is up (see ``zhilu.setup.base``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhilu.messages import T
from zhilu.setup.base import PartState, newest_job

if TYPE_CHECKING:
    from zhilu.context import Context
    from zhilu.jobs import Job

__all__ = ["FIRST_MODEL", "FirstModelPart"]


class FirstModelPart:
    """``zhilu up`` starts its job in ``models.routes``, as soon as the gateway that measures the model answers."""

    name = "first-model"
    title = T("The first model", "首个模型")
    purpose = T("Answers in place of zhilu-nano, which is small.", "代替小模型 zhilu-nano 回答。")

    def state(self, context: Context) -> PartState:
        from zhilu.models.offers.starter import look_at_first_model

        seen = look_at_first_model(context)
        status = "here" if seen.model is not None else "absent" if seen.wanted else "declined"
        return PartState(status, seen.reason, size_bytes=seen.size_bytes)  # type: ignore[arg-type]

    def find_job(self, context: Context) -> Job | None:
        return newest_job(context, "first-model")

    def submit(self, context: Context, *, agreed: bool) -> Job:
        from zhilu.models.offers.starter import submit_first_model

        return submit_first_model(context)


FIRST_MODEL = FirstModelPart()
