"""The gate of 5.5: the running model answers a question about a picture, and one that was spoken. Both hold a number of the day."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from datetime import date
from pathlib import Path

from zhilu.client import connect
from zhilu.context import Context
from zhilu.errors import MissingComponentError
from zhilu.gate import Artefact, Because, Figure, Gate, Verdict
from zhilu.media.found import require_model
from zhilu.media.hear.service import hear_file
from zhilu.media.look import BY_OCR, look
from zhilu.media.speak.numbers import in_words
from zhilu.media.speak.service import say
from zhilu.messages import T
from zhilu.models.chosen import named_model
from zhilu.models.ocr import find_ocr, no_ocr

__all__ = ["GATES"]

_PICTURE_QUESTION = "Which number stands in the picture? Answer with the number."
_WAYS = {"seen": T("the model saw it", "模型直接看图"), "ocr": BY_OCR}


def check_media(context: Context) -> Verdict:
    """5.5: nobody can know the numbers before the picture is drawn and the sentence is spoken."""
    try:
        require_model(context, "hear", None)
        require_model(context, "speak", None)
        if find_ocr() is None:
            raise no_ocr(T("A question about a picture", "图片提问"))
    except MissingComponentError as error:
        return Verdict.cannot_run_here(error.message, fix=error.fix, because=Because.COMPONENT)
    with tempfile.TemporaryDirectory(dir=context.home.run, prefix="gate-") as folder:
        return asyncio.run(_check(context, Path(folder)))


async def _check(context: Context, folder: Path) -> Verdict:
    drawn, spoken = _number("picture"), _number("speech") % 900 + 100
    picture, sound = folder / "picture.png", folder / "question.wav"
    _draw(drawn, picture)
    seen = await look(context, picture, _PICTURE_QUESTION)
    question = f"My room is number {spoken}. What is the number of my room?"
    await asyncio.to_thread(say, context, question, sound)
    heard = (await asyncio.to_thread(hear_file, context, sound)).text
    async with connect(context) as client:
        reply = await client.chat(
            [{"role": "user", "content": heard}], model=named_model(context, None), max_tokens=80, temperature=0
        )
    answer = str(reply["choices"][0]["message"]["content"] or "").strip()
    figures = [
        Figure(T("model", "模型"), seen.model),
        Figure(T("number in the picture", "图片里的数字"), drawn),
        Figure(T("answer about the picture", "对图片的回答"), seen.answer[:200]),
        Figure(T("how", "方式"), _WAYS[seen.way].say()),
        Figure(T("number that was spoken", "说出的数字"), spoken),
        Figure(T("heard", "听到的话"), heard[:200]),
        Figure(T("answer to what was said", "对语音的回答"), answer[:200]),
    ]
    artefacts = [Artefact.of(picture), Artefact.of(sound)]
    right = (_says(seen.answer, drawn), _says(answer, spoken))
    if all(right):
        why = T("It answered from the picture and from what was spoken.", "图片问题和语音问题都答对了。")
        return Verdict.passed(why, *figures, artefacts=artefacts)
    missed = [
        name for name, ok in zip((T("the picture", "图片"), T("the speech", "语音")), right, strict=True) if not ok
    ]
    why = T(
        f"Not answered rightly: {', '.join(m.en for m in missed)}. A stronger model may do it.",
        f"没有答对：{'、'.join(m.zh for m in missed)}。换一个更强的模型试试。",
    )
    return Verdict.failed(why, *figures, fix="zhilu model catalog", artefacts=artefacts)


GATES = [
    Gate(
        "5.5",
        T("A picture and a spoken question are answered", "回答一个图片问题和一个语音问题"),
        check_media,
        slow=True,
    )
]


def _number(what: str) -> int:
    """Four digits of the day, none of them 0 in front."""
    digest = hashlib.sha256(f"{what} {date.today().isoformat()}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % 9000 + 1000


def _says(answer: str, number: int) -> bool:
    plain = re.sub(r"(?<=\d)[, ](?=\d)", "", answer)
    return re.search(rf"(?<!\d){number}(?!\d)", plain) is not None or in_words(str(number)) in answer.lower()


def _draw(number: int, path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont  # comes with OCR

    image = Image.new("RGB", (480, 200), "white")
    ImageDraw.Draw(image).text((90, 55), str(number), fill="black", font=ImageFont.load_default(size=90))
    image.save(path)
