"""``--lang`` on every verb, and help in one language.

Help texts are written in both languages, English first; this module cuts each down to the language that was asked for. click's
own words ("Usage", "Options") come through ``gettext``, which gets translations of the few that a person sees.
"""

from __future__ import annotations

import gettext
import re

import click

from zhilu.messages import current_lang, set_lang

__all__ = ["in_every_verb", "one_language", "speak"]

# click 8's words -> Chinese.
_WORDS = {
    "Usage:": "用法：",
    "Options": "选项",
    "Commands": "命令",
    "Show this message and exit.": "显示这段帮助并退出。",
    "Show the version and exit.": "显示版本并退出。",
    "Try '{command} {option}' for help.": "运行 '{command} {option}' 查看帮助。",
    "Error: {message}": "错误：{message}",
    "Missing argument": "缺少参数",
    "Missing option": "缺少选项",
    "Missing parameter": "缺少参数",
    "Missing command.": "缺少命令。",
    "No such option: {name}": "没有选项 {name}",
    "No such command {name!r}.": "没有命令 {name!r}。",
    "Option {name!r} requires an argument.": "选项 {name!r} 需要一个值。",
    "Invalid value: {message}": "值无效：{message}",
    "Invalid value for {param_hint}: {message}": "{param_hint} 的值无效：{message}",
    "required": "必填",
    "default: {default}": "默认：{default}",
}
_CJK = re.compile("[\u3400-\u9fff]")
# Where a Chinese text may begin: at a line of its own, or behind the end of an English sentence.
_STARTS = re.compile(r"(?:^|(?<=[.!?)])\s+|\n\s*)")


def speak(lang: str) -> None:
    """Say everything in ``lang`` (``en``, ``zh`` or ``auto``) from here on, click's words too."""
    set_lang(lang)
    own = gettext.NullTranslations()
    words = _WORDS if current_lang() == "zh" else {}
    gettext.dgettext = lambda domain, message: words.get(message, own.gettext(message))


def in_every_verb(command: click.Command) -> click.Command:
    """The command, and all below it, with ``--lang`` and with help in the language that is spoken."""
    if not any("--lang" in param.opts for param in command.params):
        command.params.append(
            click.Option(
                ["--lang"],
                type=click.Choice(["auto", "en", "zh"]),
                help="en | zh | auto",
                is_eager=True,
                expose_value=False,
                callback=_chosen,
            )
        )
    command.help = one_language(command.help) if command.help else command.help
    for param in command.params:
        if isinstance(param, click.Option) and param.help:
            param.help = one_language(param.help)
    if isinstance(command, click.Group):
        for below in command.commands.values():
            in_every_verb(below)
    return command


def _chosen(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value:
        speak(value)
        context = ctx.find_root().obj
        if context is not None:  # settings that are read again keep it
            context.flags["lang"] = value


def one_language(text: str, lang: str | None = None) -> str:
    """The half of a bilingual help text that is in ``lang``; a text in one language stays as it is."""
    lang = lang or current_lang()
    return "\n\n".join(_half(paragraph, lang) for paragraph in re.split(r"\n\s*\n", text.strip()))


def _half(paragraph: str, lang: str) -> str:
    first = _CJK.search(paragraph)
    if first is None:
        return paragraph
    starts = [
        found.end() for found in _STARTS.finditer(paragraph, 0, first.start() + 1) if found.end() <= first.start()
    ]
    cut = starts[-1] if starts else 0
    rest = paragraph[first.start() :]
    words_before = re.findall(r"[A-Za-z]{2,}", paragraph[: first.start()])
    if not cut and len(words_before) > 1 and not re.search(r"[A-Za-z]+ [A-Za-z]+ [A-Za-z]", rest):
        cut = first.start()  # a phrase, and behind it the same in Chinese
    english, chinese = paragraph[:cut].strip(), paragraph[cut:].strip()
    return (chinese if lang == "zh" else english) or paragraph.strip()
