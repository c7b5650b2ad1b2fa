"""``zhilu``: one command from the verbs of all folders. It parses nothing itself and imports a verb only when it is used."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from zhilu import __version__
from zhilu.cli.language import in_every_verb, speak
from zhilu.errors import ZhiluError, nearest
from zhilu.messages import T, system_lang
from zhilu.registry import Registry

__all__ = ["VERBS", "cli", "main"]

# Short help stands here so that `zhilu --help` imports no folder; a test compares it with the registered verbs.
VERBS: dict[str, T] = {
    "up": T("Start the workbench, the gateway and the model", "启动工作台、网关和模型"),
    "chat": T("Talk to a model in the terminal", "在终端里和模型对话"),
    "kb": T("Knowledge bases: create, add documents, ask", "知识库：创建、添加文档、提问"),
    "web": T("Answer from the web, with sources", "联网回答，附来源"),
    "knowledge": T("An organisation's knowledge: accounts, groups, leave", "企业知识库：账号、用户组、权限"),
    "report": T("Ask tables: checked SQL, charts, reports", "用提问查表：经过检查的 SQL、图表、报告"),
    "app": T("Products: list, acceptance runs, templates to take home", "产品：列表、验收、带走模板"),
    "support": T("Customer service: desks, orders, people who take over", "客服：服务台、订单查询、人工接管"),
    "code": T("Ask a repository, change it by diffs, complete code", "代码助手：就仓库提问、按 diff 修改、补全代码"),
    "mcp": T("Offer knowledge bases as MCP tools to other programs", "以 MCP 工具的形式向其他程序提供知识库"),
    "agent": T("Let a model use tools until a task is done", "让模型使用工具完成任务"),
    "model": T("Models: list, show, pull, import, remove", "模型：列出、查看、拉取、导入、删除"),
    "serve": T("Serve one model as an OpenAI-compatible API", "把一个模型作为 OpenAI 兼容 API 提供"),
    "bench": T("Measure a served model: latency, throughput, errors", "测量模型服务：延迟、吞吐与错误"),
    "engine": T("Engines that can run models here", "这台机器上能运行模型的引擎"),
    "data": T(
        "Training data: keep it, check it, see what a model would see", "训练数据：保存、检查、查看模型会看到什么"
    ),
    "tune": T("Fine-tune a model on your own data", "用自己的数据微调模型"),
    "longtext": T("Texts longer than the model reads at once", "比模型一次能读的更长的文本"),
    "prompt": T("Versions of a prompt, measured and compared", "提示词的各个版本：衡量与对比"),
    "doctor": T("Check this machine and say how to mend it", "检查这台机器并给出修复办法"),
    "lens": T("See inside a model: tokens, attention, next words", "透视模型：token、注意力、下一个词"),
    "internals": T("How it works underneath: lessons held against libraries", "底层原理：与工业级库对照的课程"),
    "media": T("Speech and pictures: write down, speak, look", "语音与图片：转写、朗读、看图"),
    "learn": T("The roadmap: seven stages, where you are, what is next", "路线图：七个阶段、你在哪里、下一步是什么"),
    "check": T("Run gates: measure, judge, keep the evidence", "运行关卡：测量、判定、保存证据"),
    "jobs": T("Long work: list, follow, cancel", "长任务：列出、跟踪、取消"),
    "settings": T("Show and change settings", "查看和修改设置"),
    "backup": T("Write the whole data home into one file", "把整个数据目录备份成一个文件"),
    "restore": T("Bring a data home back from a backup", "从备份恢复数据目录"),
    "repair": T("Make a damaged state database whole", "修复损坏的状态数据库"),
    "setup": T("Large parts that are installed later, such as PyTorch", "稍后安装的大部件，例如 PyTorch"),
}


_HELP = T(
    "Zhilu: from an empty machine to a shipped AI product, every stage proven by a gate.",
    "指路 Zhilu：从一台空机器到上线的 AI 产品，每个阶段都有关卡证明。",
)


class _Verbs(click.Group):
    """Verbs come from the entry points ``zhilu.cli``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.registry: Registry[click.Command] = Registry.from_entry_points("zhilu.cli", T("command", "命令"))

    def list_commands(self, ctx: click.Context) -> list[str]:
        known = [name for name in VERBS if name in self.registry]
        return known + [name for name in self.registry.names() if name not in VERBS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return in_every_verb(self.registry.get(cmd_name)) if cmd_name in self.registry else None

    def get_help(self, ctx: click.Context) -> str:
        self.help = _HELP.say()
        return super().get_help(ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, VERBS[name].say() if name in VERBS else "") for name in self.list_commands(ctx)]
        with formatter.section(T("Commands", "命令").say()):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.registry:
            close = nearest(name, self.registry.names())
            hint = T(f" Did you mean {close!r}?", f"是不是 {close!r}？").say() if close else ""
            ctx.fail(T(f"There is no command {name!r}.", f"没有命令 {name!r}。").say() + hint)
        return super().resolve_command(ctx, args)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--home", type=click.Path(file_okay=False), help="ZHILU_HOME")
@click.option("--lang", type=click.Choice(["auto", "en", "zh"]), help="en | zh | auto")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["text", "json"]))
@click.version_option(__version__, prog_name="zhilu")
@click.pass_context
def cli(ctx: click.Context, **flags: Any) -> None:
    """Zhilu: from an empty machine to a shipped AI product, every stage proven by a gate."""
    if flags["lang"]:
        speak(flags["lang"])
    if ctx.resilient_parsing or any(arg in ("-h", "--help") for arg in sys.argv[1:]):
        return
    from zhilu.context import open_context
    from zhilu.logs import configure_logs

    context = open_context(flags)
    configure_logs(context.settings.log_level, context.settings.log_format)
    ctx.obj = context
    ctx.call_on_close(context.close)


def main(args: Sequence[str] | None = None) -> None:
    """The console script: turns every error of ours into one message, its fix and its exit code."""
    speak(_early_lang(args))
    try:
        code = cli.main(args=list(args) if args is not None else None, prog_name="zhilu", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except ZhiluError as error:
        code = report_error(error)
    except (KeyboardInterrupt, click.Abort):
        click.echo(T("Stopped.", "已停止。").say(), err=True)
        code = 130
    except BrokenPipeError:  # the reader of `zhilu … | head` went away
        sys.stderr.close()
        code = 0
    except Exception as error:
        from zhilu.home import storage_error

        problem = storage_error(error)  # the disk is full, read-only, damaged: that is no fault of the program
        if problem is None:
            raise
        code = report_error(problem)
    sys.exit(code if isinstance(code, int) else 0)


def report_error(error: ZhiluError) -> int:
    """Print an error of ours to stderr (as JSON where ``--json`` was asked for) and return its exit code."""
    if "--json" in sys.argv:
        import json

        from zhilu.errors import error_body

        click.echo(json.dumps(error_body(error), ensure_ascii=False), err=True)
    else:
        click.echo(click.style(T("Error: ", "错误：").say(), fg="red") + error.message.say(), err=True)
        if error.fix:
            click.echo(click.style(T("Next:  ", "下一步：").say(), fg="cyan") + error.fix, err=True)
    return error.exit_code


def _early_lang(args: Sequence[str] | None) -> str:
    """The language before anything is parsed: errors of parsing itself need one."""
    words = list(args if args is not None else sys.argv[1:])
    for index, word in enumerate(words):
        if word == "--lang" and index + 1 < len(words):
            lang = words[index + 1]
        elif word.startswith("--lang="):
            lang = word.partition("=")[2]
        else:
            continue
        if lang in ("en", "zh", "auto"):  # anything else is refused once it is parsed
            return lang
    import os

    return os.environ.get("ZHILU_LANG") or system_lang()
