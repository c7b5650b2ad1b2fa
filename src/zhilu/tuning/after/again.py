"""The held-out figures of a finished run, measured anew: of the base, then with the adapter as it lies on the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhilu.engine.model.adapters import refuse_other_base
from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.models import ModelStore
from zhilu.tuning.base_model import TARGETS, load_base, require_trainer
from zhilu.tuning.config import Chosen
from zhilu.tuning.runs import RunFolder

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["measure_again"]


def measure_again(context: Context, run: RunFolder) -> dict[str, tuple[float, float]]:
    """Each figure before and after (see ``Outcome``).

    Raises:
        InputError: the run made a model of its own. ConflictError: the base in the store is another one by now.
        NotFoundError: its data or its base is gone.
    """
    from peft import load_peft_weights, set_peft_model_state_dict

    from zhilu.tuning.recipes import make_run, reward_of
    from zhilu.tuning.recipes.rows import read_units
    from zhilu.tuning.recipes.sft import add_lora

    require_trainer()
    info = run.info()
    if info.outcome is None or info.outcome.adapter is None:
        raise InputError(
            T(f"The run {info.name!r} has no adapter.", f"训练 {info.name!r} 没有适配器。"),
            param="name",
            fix=f"zhilu tune show {info.name}",
        )
    adapter = context.home.adapters / info.outcome.adapter
    folder = ModelStore(context).path_of(info.config.model)
    refuse_other_base(adapter, folder)
    _, held_out, preflight, config = read_units(context, info.config)
    chosen = Chosen(**info.chosen, reasons=info.reasons)
    model = add_lora(load_base(folder), config, chosen, TARGETS)
    reward = reward_of(context, config, run.path)
    again = make_run(model, [], held_out, config, chosen, run.checkpoint, preflight, reward)
    before = again.measure(held_out)
    set_peft_model_state_dict(model, load_peft_weights(str(adapter), device="cpu"))
    after = again.measure(held_out)
    return {key: (before[key], after[key]) for key in before}
