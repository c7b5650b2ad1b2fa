"""``zhilu app``: the products, their acceptance runs, and their templates."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj, table
from zhilu.context import Context
from zhilu.messages import T

if TYPE_CHECKING:
    from zhilu.apps.checking import Acceptance
    from zhilu.apps.product import Product, Scored

__all__ = ["app"]


@click.group()
def app() -> None:
    """Products: what there is, whether each works here, and a copy to take home.
    产品：有哪些、在这台机器上是否合格，以及带走一份模板。"""


@app.command("list")
@json_option
@pass_context_obj
def list_(context: Context, as_json: bool) -> None:
    """The products with their last acceptance run.
    产品及其最近一次验收。"""
    from zhilu.apps.checking import last_acceptance
    from zhilu.apps.product import products

    found = [(product, last_acceptance(context, product.name)) for _, product in products().items()]
    if as_json:
        echo_json(
            [
                {
                    "name": product.name, "title": product.title.data(), "says": product.says.data(), "page": product.page,
                    "floor": product.floor, "last": last.model_dump(mode="json", exclude={"cases"}) if last else None,
                }
                for product, last in found
            ]
        )  # fmt: skip
        return
    rows = [(product.name, product.title.say(), _figure(last), f"{product.floor:.0%}") for product, last in found]
    table((T("name", "名称"), T("what", "用途"), T("last acceptance", "最近验收"), T("floor", "下限")), rows)


@app.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--model", help=T("default: the one that runs", "默认当前模型").say())
@json_option
@pass_context_obj
def check(context: Context, names: tuple[str, ...], model: str | None, as_json: bool) -> None:
    """Run the acceptance of each product NAME, or of all; exits with 1 below a floor.
    运行产品的验收（默认全部）；低于下限时退出码为 1。"""
    from zhilu.apps.product import products

    registry = products()
    chosen = [registry.get(name) for name in (names or registry.names())]
    made = asyncio.run(_check(context, chosen, model, quiet=as_json))
    if as_json:
        echo_json([one.model_dump(mode="json") for one in made])
    if not all(one.passed for one in made):
        raise SystemExit(1)


@app.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--from", "name", required=True, metavar="NAME", help=T("the product", "产品名称").say())
def new(folder: Path, name: str) -> None:
    """Copy the template of a product to FOLDER: front end, back end, Dockerfile, tests.
    把产品的模板复制到 FOLDER：前端、后端、Dockerfile、测试。"""
    from zhilu.apps.product import products
    from zhilu.apps.taking import take_home

    files = take_home(products().get(name), folder)
    for file in files:
        click.secho(f"{folder / file}", dim=True)
    click.echo(T("Next: ", "下一步：").say() + f"cd {folder} && cat README.md")


async def _check(context: Context, chosen: list[Product], model: str | None, *, quiet: bool) -> list[Acceptance]:
    from zhilu.apps.checking import run_acceptance
    from zhilu.client import connect

    made: list[Acceptance] = []
    async with connect(context) as client:
        for product in chosen:
            if not quiet:
                click.secho(product.title.say(), bold=True)
            made.append(await run_acceptance(context, client, product, model=model, each=None if quiet else _show))
            if not quiet:
                _show_figure(made[-1])
    return made


def _show(number: int, scored: Scored) -> None:
    mark = T("right", "正确") if scored.right else T("wrong", "错误")
    click.secho(f"{number:3} {mark.say()}  ", fg="green" if scored.right else "red", nl=False)
    click.echo(scored.case)
    said = " ".join(scored.said.split())
    click.secho(f"      {said[:300]}" + (f"  ({scored.why.say()})" if scored.why else ""), dim=True)


def _show_figure(made: Acceptance) -> None:
    of, share, floor = len(made.cases), f"{made.share:.0%}", f"{made.floor:.0%}"
    line = T(
        f"{made.product}: {made.num_right} of {of} right ({share}), floor {floor}, model {made.model}",
        f"{made.product}：{of} 题答对 {made.num_right} 题（{share}），下限 {floor}，模型 {made.model}",
    )
    click.secho(line.say(), fg="green" if made.passed else "red", bold=True)


def _figure(last: Acceptance | None) -> str:
    if last is None:
        return T("never run", "未运行").say()
    return f"{last.num_right}/{len(last.cases)} ({last.share:.0%}) {last.model}"
