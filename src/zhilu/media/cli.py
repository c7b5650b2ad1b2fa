"""``zhilu media``: speech and pictures on the command line."""

from __future__ import annotations

from pathlib import Path

import click

from zhilu.cli_support import echo_json, json_option, pass_context_obj
from zhilu.context import Context
from zhilu.messages import T

__all__ = ["media"]

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def media() -> None:
    """Speech and pictures: write down, speak, look. 语音与图片：转写、朗读、看图。"""


@media.command()
@click.argument("file", type=_FILE)
@click.option("--language", help="zh, en, …; found out if absent 语言；不填则自动识别")
@click.option("--model", help="the model that hears 语音识别模型")
@click.option("--srt", "as_srt", is_flag=True, help="subtitles instead of text 输出字幕")
@json_option
@pass_context_obj
def transcribe(
    context: Context, file: Path, language: str | None, model: str | None, as_srt: bool, as_json: bool
) -> None:
    """Write down what is said in FILE (sound or video, up to six hours). 把音频或视频里的话转成文字（最长六小时）。

    A job does it: stopped or killed, `zhilu jobs retry` goes on where it was. 由任务完成，中断后可以继续。
    """
    from zhilu.jobs import JobStore
    from zhilu.jobs.follow import follow, raise_unless_done
    from zhilu.media.hear.job import start_transcription
    from zhilu.media.hear.recordings import Recordings
    from zhilu.media.hear.transcript import srt, verbose_form

    recordings = Recordings(context)
    with file.open("rb") as sound:
        job = start_transcription(context, sound, file.name, model, language)
    raise_unless_done(follow(JobStore(context), job.id, quiet=as_json))
    heard = recordings.transcript(job.params["id"])
    if as_json:
        echo_json({"id": job.params["id"], **verbose_form(heard, ["segment", "word"])})
        return
    click.echo(srt(heard) if as_srt else heard.text)


@media.command()
@click.argument("text")
@click.option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="FILE.wav|mp3|flac|opus|aac|pcm"
)
@click.option("--voice", help="see zhilu media voices 音色，见 zhilu media voices")
@click.option(
    "--speed", type=click.FloatRange(0.25, 4), default=1.0, show_default=True, help="1: natural 语速，1 为正常"
)
@click.option("--model", help="the model that speaks 朗读模型")
@json_option
@pass_context_obj
def speak(
    context: Context, text: str, out: Path, voice: str | None, speed: float, model: str | None, as_json: bool
) -> None:
    """Say TEXT into a sound file; its ending is the format. 把文字读进音频文件，格式由扩展名决定。"""
    from zhilu.errors import InputError
    from zhilu.media.speak.encode import FORMATS
    from zhilu.media.speak.service import say

    kind = next((one for one in FORMATS if out.suffix.lower() == f".{one}"), None)
    if kind is None:
        there = ", ".join(f".{one}" for one in FORMATS)
        raise InputError(
            T(
                f"The ending {out.suffix!r} is no format here: {there}.",
                f"不支持扩展名 {out.suffix!r}，可用：{there}。",
            ),
            param="out",
        )
    name, seconds = say(context, text, out.absolute(), model=model, voice=voice, speed=speed, kind=kind)
    if as_json:
        echo_json({"file": str(out), "model": name, "seconds": seconds})
        return
    click.echo(T(f"{out}: {seconds:.1f} s, spoken by {name}", f"{out}：{seconds:.1f} 秒，由 {name} 朗读").say())


@media.command()
@click.option("--more", is_flag=True, help="fetch Chinese and English speakers (27 MB, by npm) 获取中文和英文音色")
@click.option(
    "--from", "source", type=click.Path(exists=True, path_type=Path),
    help="take them from a folder or .tgz with voices/NAME.bin 从文件夹或 .tgz 添加",
)  # fmt: skip
@json_option
@pass_context_obj
def voices(context: Context, more: bool, source: Path | None, as_json: bool) -> None:
    """The voices there are. 可用的音色。"""
    from zhilu.media.found import require_model
    from zhilu.media.speak.more_voices import add_voices
    from zhilu.media.speak.voices import voice_names

    folder = require_model(context, "speak", None)[1]
    if more or source is not None:
        add_voices(folder, source)
    names = voice_names(folder)
    if as_json:
        echo_json(names)
        return
    click.echo("\n".join(names))


@media.command()
@click.argument("file", type=_FILE)
@click.argument("question")
@click.option("--model", help="the model that answers 回答的模型")
@json_option
@pass_context_obj
def look(context: Context, file: Path, question: str, model: str | None, as_json: bool) -> None:
    """Ask about a picture. A model that cannot see gets the text that OCR reads in it, and the answer says so.
    就图片提问。模型看不到图片时，把 OCR 识别的文字交给它，并说明这一点。"""
    import asyncio

    from zhilu.media.look import BY_OCR, look

    found = asyncio.run(look(context, file, question, model))
    if as_json:
        echo_json(found._asdict())
        return
    click.echo(found.answer)
    if found.way == "ocr":
        click.echo(BY_OCR.say(), err=True)
