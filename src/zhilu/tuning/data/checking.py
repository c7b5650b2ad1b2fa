"""A check of what a person names: a dataset of the home or a file, for the model they mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zhilu.errors import NotFoundError
from zhilu.messages import T
from zhilu.tuning.data.check import DataReport, check_data
from zhilu.tuning.data.library import DatasetLibrary
from zhilu.tuning.data.preflight import Preflight

if TYPE_CHECKING:
    from zhilu.context import Context

__all__ = ["check_dataset", "find_data"]


def find_data(context: Context, named: str, *, files: bool) -> tuple[Path, str | None]:
    """The file that is meant, and the dataset's name where it is one of the home's.

    Args:
        files: whether ``named`` may be a path (a command's argument, never a request's).

    Raises:
        NotFoundError: neither a dataset nor a file.
    """
    library = DatasetLibrary(context)
    if files and Path(named).is_file():
        return Path(named), None
    try:
        return library.path_of(named), named
    except NotFoundError:
        if files and (Path(named).suffix or "/" in named):
            raise NotFoundError(
                T(f"There is no file {named!r}, and no dataset of this name.", f"没有文件 {named!r}，也没有这个名称的数据集。"),
                param="file",
                fix="zhilu data list",
            ) from None  # fmt: skip
        raise


def check_dataset(
    context: Context,
    named: str,
    *,
    model: str | None = None,
    held_out: str | None = None,
    mapping: Mapping[str, str] | None = None,
    max_len: int | None = None,
    files: bool = False,
) -> DataReport:
    """``check_data`` for names; the report is kept with the dataset.

    Args:
        model: whose template and tokenizer are used; None: the one that runs; ``"none"``: no tokens.

    Raises:
        NotFoundError, InputError, TooLargeError, MissingComponentError: as ``check_data`` and ``Preflight.of``.
    """
    from zhilu.models.chosen import named_model

    path, name = find_data(context, named, files=files)
    evaluation = find_data(context, held_out, files=files)[0] if held_out else None
    preflight = None if model == "none" else Preflight.of(context, named_model(context, model))
    report = check_data(path, evaluation=evaluation, preflight=preflight, mapping=mapping, max_len=max_len)
    if name is not None:
        report.file = name
        DatasetLibrary(context).keep_report(name, report)
    return report
