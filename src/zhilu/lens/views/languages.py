"""1.1, the second half: what the same message costs in different languages."""

from __future__ import annotations

from pydantic import BaseModel

from zhilu.lens.subject import Subject

__all__ = ["MESSAGE", "LanguageCost", "LanguagesOut", "languages"]

# One message, said as people of each language would say it.
MESSAGE: dict[str, tuple[str, str]] = {
    "en": ("English", "Please send me the meeting notes before five o'clock this afternoon. Thank you!"),
    "zh": ("简体中文", "请在今天下午五点之前把会议纪要发给我，谢谢！"),
    "zh-Hant": ("繁體中文", "請在今天下午五點之前把會議紀要發給我，謝謝！"),
    "ja": ("日本語", "今日の午後五時までに会議の議事録を送ってください。よろしくお願いします。"),
    "ko": ("한국어", "오늘 오후 다섯 시 전까지 회의록을 보내 주세요. 감사합니다!"),
    "es": ("Español", "Por favor, envíame las notas de la reunión antes de las cinco de esta tarde. ¡Gracias!"),
    "de": ("Deutsch", "Bitte schick mir das Protokoll der Besprechung bis heute Nachmittag um fünf Uhr. Danke!"),
    "fr": ("Français", "Merci de m'envoyer le compte rendu de la réunion avant cinq heures cet après-midi."),
    "ru": ("Русский", "Пожалуйста, пришлите мне протокол совещания до пяти часов дня. Спасибо!"),
    "ar": ("العربية", "من فضلك أرسل لي محضر الاجتماع قبل الساعة الخامسة من مساء اليوم. شكرا!"),
    "hi": ("हिन्दी", "कृपया आज शाम पाँच बजे से पहले मुझे बैठक का विवरण भेज दें। धन्यवाद!"),
}


class LanguageCost(BaseModel):
    """``relative``: tokens for each token of the English message. ``compression``: bytes a token."""

    language: str
    name: str
    text: str
    characters: int
    bytes: int
    tokens: int
    relative: float
    compression: float


class LanguagesOut(BaseModel):
    model: str
    vocabulary: int
    languages: list[LanguageCost]


def languages(subject: Subject) -> LanguagesOut:
    """Counted by the model's own tokenizer, dearest last."""
    tokenizer = subject.tokenizer
    counts = {key: len(tokenizer.encode(text, add_special_tokens=False)) for key, (_, text) in MESSAGE.items()}
    costs = [
        LanguageCost(
            language=key,
            name=name,
            text=text,
            characters=len(text),
            bytes=len(text.encode()),
            tokens=counts[key],
            relative=round(counts[key] / counts["en"], 3),
            compression=round(len(text.encode()) / counts[key], 3),
        )
        for key, (name, text) in MESSAGE.items()
    ]
    return LanguagesOut(
        model=subject.name, vocabulary=tokenizer.vocab_size, languages=sorted(costs, key=lambda one: one.tokens)
    )
