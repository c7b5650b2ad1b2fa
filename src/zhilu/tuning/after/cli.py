"""``zhilu tune compare``, ``tune export-log`` and ``tune launchers``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T

__all__ = ["compare", "export_log", "launchers"]


@click.command()
@json_option
def launchers(as_json: bool) -> None:
    """How a run can be spread over processes, and what each way needs.
    训练可以怎样分到多个进程，以及各自需要什么。"""
    from zhilu.tuning.launch import LAUNCHERS

    rows = []
    for one in LAUNCHERS.values():
        ready = one.status == "ready" and not one.missing
        said = T("ready", "可用") if ready else one.status if isinstance(one.status, T) else T(one.install, one.install)
        rows.append((one.name, one.title.say(), " ".join(one.methods), said.say()))
    if as_json:
        keys = ("name", "title", "methods", "status")
        echo_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    table((T("name", "名称"), T("what", "做法"), T("methods", "方法"), T("status", "状态")), rows)


@click.command()
@click.argument("names", nargs=-1, required=True)
@json_option
@pass_context_obj
def compare(context: Context, names: tuple[str, ...], as_json: bool) -> None:
    """Runs beside each other: what they were made of, their held-out curves, and what came of them.
    并排比较几次训练：配置、留出曲线与结果。"""
    from zhilu.tuning.after.beside import beside, curves_of, not_comparable
    from zhilu.tuning.runs import RunLibrary

    names = tuple(dict.fromkeys(names))
    folders = [RunLibrary(context).get(name) for name in names]
    infos = [folder.info() for folder in folders]
    rows, curves = beside(infos), [curves_of(folder) for folder in folders]
    if as_json:
        echo_json({"rows": {row[0].en: row[1] for row in rows}, "held_out": dict(zip(names, curves, strict=True))})
        return
    columns = (T("", ""), *(T(name, name) for name in names))
    table(columns, [(title.say(), *said) for title, said in rows])
    marks = sorted({share for curve in curves for share, _ in curve})
    click.echo(T("\nHeld-out figure by the share of the run", "\n按训练进度的留出指标").say())
    table(
        columns,
        [
            (f"{share:.0%}", *(f"{dict(curve)[share]:.3f}" if share in dict(curve) else "" for curve in curves))
            for share in marks
        ],
    )
    if (note := not_comparable(infos)) is not None:
        click.secho(note.say(), fg="yellow", err=True)


@click.command("export-log")
@click.argument("name")
@click.option("--to", "form", type=click.Choice(["tensorboard", "mlflow", "trackio"]), required=True)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@json_option
@pass_context_obj
def export_log(context: Context, name: str, form: Any, folder: Path, as_json: bool) -> None:
    """Write a run's curves into FOLDER for another program, beside those of other runs.
    把训练曲线写入文件夹 FOLDER，供其他程序读取；可与其他训练放在一起。"""
    from zhilu.tuning.after.curves import NEXT, write_curves
    from zhilu.tuning.runs import RunLibrary

    made = write_curves(RunLibrary(context).get(name), form, folder)
    next_ = NEXT[form].format(path=made, name=name)
    if as_json:
        echo_json({"path": str(made), "next": next_})
        return
    click.echo(made)
    click.echo(T(f"Next: {next_}", f"下一步：{next_}").say())
