"""Help in the language that was asked for, wherever the wish stands on the command line."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

from zhilu.cli.language import one_language

CJK = re.compile("[\u4e00-\u9fff]")


def help_of(*words: str) -> str:
    program = "import sys; from zhilu.cli import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", [(), ("serve",), ("kb", "add"), ("check",), ("settings",)])
def test_lang_is_on_every_verb_before_and_behind_it_and_help_is_in_it(words: tuple[str, ...]) -> None:
    for asked in (
        ["--lang", "zh", *words, "--help"],
        [*words, "--lang=zh", "--help"],
        [*words, "--help", "--lang", "zh"],
    ):
        said = help_of(*asked)
        assert "用法" in said and "显示这段帮助并退出" in said and "--lang" in said
        assert CJK.search(said.splitlines()[2])
    said = help_of(*words, "--lang", "en", "--help")
    assert "Usage:" in said and not CJK.search(said.replace("指路", ""))


def test_every_command_has_it() -> None:
    from zhilu.cli import cli

    def walk(command: click.Command) -> list[click.Command]:
        below = [command.get_command(click.Context(command), name) for name in command.list_commands(click.Context(command))] \
            if isinstance(command, click.Group) else []  # fmt: skip
        return [command, *(found for one in below if one for found in walk(one))]

    commands = walk(cli)
    assert len(commands) > 25
    assert [c.name for c in commands if not any("--lang" in param.opts for param in c.params)] == []


@pytest.mark.parametrize(
    ("text", "en", "zh"),
    [
        ("Start it. 启动它。", "Start it.", "启动它。"),
        ("Run gates: TASK is 4.1.\n    运行关卡：TASK 是 4.1。", "Run gates: TASK is 4.1.", "运行关卡：TASK 是 4.1。"),
        ("A file.\n\nTASK 可以不写。", "A file.\n\nTASK 可以不写。", "A file.\n\nTASK 可以不写。"),
        ("return at once; go on 立即返回", "return at once; go on", "立即返回"),
        ("Only English.", "Only English.", "Only English."),
        ("只有中文。", "只有中文。", "只有中文。"),
    ],
)
def test_a_bilingual_text_is_cut_in_its_two_halves(text: str, en: str, zh: str) -> None:
    assert (one_language(text, "en"), one_language(text, "zh")) == (en, zh)
