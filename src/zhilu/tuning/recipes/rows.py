"""The rows of a run: what is trained on, what is held out, and what can be learned from their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zhilu.errors import InputError
from zhilu.messages import T
from zhilu.tuning.config import OBJECTIVES, Objective, TuneConfig
from zhilu.tuning.data.formats import RowError
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.data.preflight import Preflight
from zhilu.tuning.data.read import read_dataset
from zhilu.tuning.data.records import Example
from zhilu.tuning.recipes.units import Unit

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["objective_of", "read_units"]

_HELD_OUT = 0.1  # share of the rows, where no file of them is given
_MOST_HELD_OUT = 200


def objective_of(config: TuneConfig, kind: str) -> Objective:
    """What is learned from rows of ``kind``: as asked for, or the usual.

    Raises:
        InputError: it cannot be learned from these rows.
    """
    possible = OBJECTIVES.get(kind, ())
    wanted = config.objective or (possible[0] if possible else None)
    if wanted is None or wanted not in possible:
        others = ", ".join(possible) or "-"
        raise InputError(
            T(f"{config.data} holds {kind} rows, from which {wanted or 'nothing'} cannot be learned; what can be: {others}.",
              f"{config.data} 是 {kind} 数据，不能用于 {wanted or '训练'}；可用：{others}。"),
            param="objective",
            fix=f"zhilu tune run --data {config.data} --objective {possible[0]}" if possible else "zhilu data formats",
        )  # fmt: skip
    return wanted


def read_units(context: Context, config: TuneConfig) -> tuple[list[Unit], list[Unit], Preflight, TuneConfig]:
    """Training units, held-out units, what rendered them, and the configuration with its objective."""
    library, preflight = DatasetLibrary(context), Preflight.of(context, config.model)
    units, kind = _read(preflight, library, config.data)
    config = config.model_copy(update={"objective": objective_of(config, kind)})
    if config.held_out:
        held, _ = _read(preflight, library, config.held_out)
        return units, held[:_MOST_HELD_OUT], preflight, config
    every = max(2, round(len(units) / min(_MOST_HELD_OUT, max(2, len(units) * _HELD_OUT))))
    return [unit for at, unit in enumerate(units) if at % every], units[::every], preflight, config


def _read(preflight: Preflight, library: DatasetLibrary, name: str) -> tuple[list[Unit], str]:
    """The units of a dataset, and the kind of its rows."""

    def refuse(example: Example, error: RowError) -> InputError:
        en, zh = (
            f"{name}, line {example.line}: {error.message.en}",
            f"{name} 第 {example.line} 行：{error.message.zh}",
        )
        return InputError(T(en, zh), param="data", code=error.code, fix=f"zhilu data check {name}")

    examples = read_dataset(library.path_of(name)).examples
    units = []
    for example in examples:
        try:
            rows = preflight.render(example)
            if example.kind == "preference" and len(rows) != 2:
                raise RowError(
                    "many_answers",
                    "an answer of the pair has several parts that the template renders one by one",
                    "偏好对中的回答包含多个部分，模板会分别渲染",
                )
        except RowError as error:
            raise refuse(example, error) from None
        units.append(Unit(tuple(rows), example.label))
    return units, examples[0].kind if examples else ""
