"""How well speech is understood here: Kokoro speaks 20 sentences, Whisper writes them down, clean and in noise.

    python benchmarks/speech.py                     a table for the README; needs the extra `speech` and both models
    python benchmarks/speech.py --voice jm_kumo --recordings DIR

`--recordings DIR`: recorded speech too: sound files, each beside a text file of the same name with what is said in it.
Character errors for Chinese, word errors for English: edits (substituted, left out, put in) over the length of what was said,
without punctuation, case or spaces; numbers in words and in figures count as the same. Noise: white, 15 dB below the speech.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zhilu.context import Context, open_context
from zhilu.media.hear.service import hear_file
from zhilu.media.speak.chinese import spelled_numbers
from zhilu.media.speak.numbers import in_words
from zhilu.media.speak.service import say

SENTENCES = {
    "zh": (
        "今天的天气很好，我们一起去公园散步。",
        "请把这份报告在星期五之前发给我。",
        "图书馆早上九点开门，晚上八点关门。",
        "这个模型可以在普通电脑上运行。",
        "会议改到下午三点，地点在二楼会议室。",
        "他每天坐地铁上班，大约需要四十分钟。",
        "如果忘记密码，可以用手机号码重新设置。",
        "我们公司的客户主要来自北京和上海。",
        "这本书介绍了中国历史上的重要人物。",
        "医生建议他多喝水，早点休息。",
    ),
    "en": (
        "The library opens at nine in the morning and closes at eight in the evening.",
        "Please send me the report before Friday afternoon.",
        "This model runs on an ordinary computer without a graphics card.",
        "Our meeting has been moved to room twelve on the second floor.",
        "You can reset your password with the number of your phone.",
        "The train to the airport leaves every twenty minutes.",
        "She has been working on this project for almost three years.",
        "The doctor told him to drink more water and get some rest.",
        "Most of our customers live in small towns near the coast.",
        "A good question is often more useful than a quick answer.",
    ),
}
_NOISE_DB = 15.0


def errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Edits from one to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, start=1):
        before, row[0] = row[0], i
        for j, b in enumerate(heard, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


def units(text: str, lang: str) -> list[str]:
    """What is counted: characters or words."""
    if lang == "zh":
        return re.findall(r"\w", spelled_numbers(text).lower())
    return re.findall(r"[a-z']+", in_words(text).lower())


def with_noise(path: Path, db: float) -> None:
    """White noise over the whole file, ``db`` below the mean power of the speech."""
    with wave.open(str(path)) as opened:
        parameters, raw = opened.getparams(), opened.readframes(opened.getnframes())
    samples = np.frombuffer(raw, dtype="<i2").astype(np.float32)
    level = np.sqrt(np.mean(samples**2)) * 10 ** (-db / 20)
    samples += np.random.default_rng(0).normal(0, level, samples.size).astype(np.float32)
    with wave.open(str(path), "wb") as out:
        out.setparams(parameters)
        out.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


def measure(context: Context, lang: str, voice: str | None, noise: bool, model: str | None) -> tuple[float, list[str]]:
    """Errors over units, and each sentence that was not understood word by word."""
    wrong, total, shown = 0, 0, []
    with tempfile.TemporaryDirectory() as folder:
        for number, sentence in enumerate(SENTENCES[lang]):
            path = Path(folder) / f"{number}.wav"
            say(context, sentence, path, voice=voice)
            if noise:
                with_noise(path, _NOISE_DB)
            heard = hear_file(context, path, model).text
            said = units(sentence, lang)
            edits = errors(said, units(heard, lang))
            wrong, total = wrong + edits, total + len(said)
            if edits:
                shown.append(f"  {edits}/{len(said)}  {sentence}\n        {heard}")
    return wrong / total, shown


def recorded(context: Context, folder: Path, model: str | None) -> None:
    for text in sorted(folder.glob("*.txt")):
        sound = next(path for path in folder.glob(f"{text.stem}.*") if path != text)
        sentence = text.read_text(encoding="utf-8").strip()
        lang = "zh" if re.search(r"[\u4e00-\u9fff]", sentence) else "en"
        heard = hear_file(context, sound, model).text
        said = units(sentence, lang)
        print(f"| {sound.name} | {lang} | {errors(said, units(heard, lang))}/{len(said)} | {heard} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voice", help="one of the voices of Kokoro's folder")
    parser.add_argument("--model", help="the model that hears")
    parser.add_argument("--recordings", type=Path, help="a folder of recorded speech and texts")
    parser.add_argument("--lang", choices=sorted(SENTENCES), action="append")
    args = parser.parse_args()
    context = open_context()
    print("| language | sound | measure | errors |\n|---|---|---|---|")
    for lang in args.lang or ("zh", "en"):
        for noise in (False, True):
            rate, shown = measure(context, lang, args.voice, noise, args.model)
            sound = f"noise, {_NOISE_DB:.0f} dB" if noise else "clean"
            print(f"| {lang} | {sound} | {'characters' if lang == 'zh' else 'words'} | {rate:.1%} |", flush=True)
            print("\n".join(shown), flush=True)
    if args.recordings:
        recorded(context, args.recordings, args.model)


if __name__ == "__main__":
    main()
