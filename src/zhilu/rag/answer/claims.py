"""What can be right or wrong in a text without understanding it: numbers, dates, codes, proper names, negation.

They are brought to one form, so that 2,000 and 2000, 三十 and 30, 10 PM and 22:00, October and 10 are the same. Codes and
versions are matched whole: 2.1 does not stand in "2.10.1".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher

from zhilu.text.terms import content_terms, stem

__all__ = [
    "Claims",
    "claims_of",
    "identifiers",
    "is_negated",
    "is_number",
    "is_of_another_form",
    "is_of_the_form_asked",
    "is_opposite",
    "kinds_of",
    "lost_units",
    "missing",
    "missing_kind",
    "missing_names",
    "missing_numbered",
    "stands_in",
    "units_of",
    "without_units",
]

# letters and digits in one word, or digits in three groups and more ("1.10.0"), or two after "version"
_CODE = re.compile(
    r"(?<![\w./-])(?=[A-Za-z0-9./_-]*\d)(?=[A-Za-z0-9./_-]*[A-Za-z])[A-Za-z0-9]+(?:[._/-][A-Za-z0-9]+)*"
    r"|(?<![\w.])\d+(?:\.\d+){2,}(?!\w)",
    re.ASCII,
)
# an option of a program, a name in a program, an article of a law: in these one letter more or less is another thing, too
_WRITTEN = re.compile(
    r"(?<![\w-])--[A-Za-z][A-Za-z0-9-]*|(?<![\w.])[A-Za-z]\w*_\w+|\b(?:article|clause|annex) \d+\b", re.ASCII | re.I
)
_ARTICLE = re.compile(r"第([零〇一二三四五六七八九十百千两\d]+)(条|款|章)")
_ACCENT = re.compile(r"([A-Za-z])[\u0300-\u036f]+")
_VERSION = re.compile(
    r"(?:version|release|版本|版)\s*[vV]?(\d+(?:\.\d+)+)|(?<![\w.])[vV](\d+(?:\.\d+)*)", re.IGNORECASE
)
_NO_CODE = re.compile(r"\d+(?:st|nd|rd|th|s|am|pm|h|kg|g|mg|km|cm|mm|m|gb|mb|kb|tb|ms|min|w|v|k)?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+(?::\d\d)?(?:\.\d+)*")
_HALF = re.compile(
    r"(\d{1,2})(?::(\d\d))?\s*(?:p\.?m\b)|(?:下午|晚上|傍晚|晚)\s*(\d{1,2})(?::(\d\d)|\s*[点时])", re.IGNORECASE
)
_HAN_NUMBER = re.compile(
    r"(?<![零〇一二两三四五六七八九十百千万])[零〇一二两三四五六七八九十百千万]+(?=[个天年月日号时点分秒元块次人小周星层楼级岁米公千倍折名条页%]|$)"
)
_HAN_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_HAN_UNITS = {"十": 10, "百": 100, "千": 1000}
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_TO_TWENTY = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_WORDS = {word: str(number) for number, word in enumerate(_TO_TWENTY.split())}
_WORDS |= {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90", "hundred": "100"}
_WORD = re.compile(r"[A-Za-z][A-Za-z'’-]*")
_NAME = re.compile(r"(?<![\w'’-])[A-Z][A-Za-z'’-]+")
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_NO_NAME = frozenset({*_MONTHS, "yes", "no", "not", "ok", "am", "pm", "none", "answer", "text", "according"})
_STEMMED = frozenset({*(stem(m) for m in _MONTHS), "am", "pm"})
_HAN_NUMERAL = re.compile(r"[零〇一二两三四五六七八九十百千万]+")
_NEGATION = re.compile(
    r"\b(?:not?|never|cannot|without|neither|nor|none)\b|n['’]t\b|不(?!仅|但|过|论|管|同|断)|没有?|[未无勿非](?!常)|禁止|切勿",
    re.IGNORECASE,
)
# What a Chinese question speaks of, where it begins with that: 育儿假 of "育儿假有几天".
_OPENS = re.compile(r"^(?:请问|那么|那|关于|我们|你们|公司)?的?")
_SUBJECT = re.compile(r"([\u4e00-\u9fff]{2,4}?)(?=有|是|能|可|怎|多|几|要|需|什么|如何|呢|吗|会|应|算|一共|一般|最)")
_NO_KIND = frozenset(
    "零〇一二三四五六七八九十百千万两半的了和与或在是有个这那其及为被把对从到以将要能会可不没哪何几谁什么多除由于此该每各"
)
# "space 12", "group 3", 12号楼; not what is counted or measured
_NUMBERED = re.compile(
    r"\b([A-Za-z]{3,20}) (\d{1,4})\b(?![.,:%]\d|\s*[%A-Za-z])|(?<![\d.])(\d{1,4}) ?号([\u4e00-\u9fff])"
)
_NOT_NUMBERED = frozenset(
    (
        *(stem(m) for m in _MONTHS),
        *[
            "since",
            "from",
            "until",
            "before",
            "after",
            "during",
            "year",
            "under",
            "over",
            "least",
            "most",
            "about",
            "around",
            "only",
            "than",
            "take",
            "cost",
            "pay",
            "last",
        ],
    )
)
_KINDS = 3  # 婚假, 产假, 病假: then another one is another thing, and not the same in other words
_COUNTED = re.compile(r"\d\s*([A-Za-z%€£$]+|[\u4e00-\u9fff]{1,2}?(?=[^\u4e00-\u9fff]|$)|[\u4e00-\u9fff])")
_UNITS = tuple(
    re.compile(unit, re.IGNORECASE)
    for unit in (
        r"€|\b(?:eur|euros?)\b|欧元", r"£|\b(?:gbp|pounds?)\b|英镑", r"\$|\b(?:usd|dollars?)\b|美[元金]",
        r"¥|\b(?:rmb|cny|yuan)\b|(?<![美欧日])元|块钱?", r"%|\bper ?cent\b|百分之", r"\bdays?\b|天|(?<![\d月一二三四五六七八九十])日",
        r"\bhours?\b|小时|钟头", r"\bminutes?\b|\bmin\b|分钟", r"\bweeks?\b|周|星期", r"\bmonths?\b|个?月", r"\byears?\b|年",
        r"\b(?:kg|kilo(?:gram(?:me)?)?s?)\b|公斤|千克", r"(?<![a-z])g\b|\bgrams?\b|(?<!千)克", r"(?<![a-z])km\b|\bkilomet(?:er|re)s?\b|公里",
    )
)  # fmt: skip

_SIGNS = range(5)  # of _UNITS: nobody leaves them out
_KIND_OF = (
    {str(i): "money" for i in range(4)} | {str(i): "time" for i in range(5, 11)} | {"11": "weight", "12": "weight"}
)
# of one group, what says the one does not say the other
_OPPOSITES = tuple(
    tuple(re.compile(form, re.IGNORECASE) for form in forms)
    for forms in (
        (r"\blast (?:year|month|week|season|term)|去年|上个?月|上周|上学期", r"\bthis (?:year|month|week|season|term)|今年|本月|这个月|本周|本学期",
         r"\bnext (?:year|month|week|season|term)|明年|下个?月|下周|下学期"),
        (r"\bweekdays?\b|工作日|平日", r"\bweekends?\b|周末"),
    )
)  # fmt: skip

# what asks for a number to dial, an address to write to or a page, and how each of them looks
_FORMS = tuple(
    (re.compile(asks, re.IGNORECASE), re.compile(looks))
    for asks, looks in (
        (r"\b(?:tele)?phone number|\b(?:which|what) number (?:do|should|can|must) (?:i|we|you) (?:call|dial|ring|phone)\b"
         r"|电话(?:号码?)?(?:是|为)?(?:多少|什么)|哪个电话|什么电话|电话号码|打哪个号", r"\d(?:[ -]?\d){2}"),
        (r"\be-?mail address|邮箱(?:地址)?(?:是|为)?(?:多少|什么|哪)|什么邮箱|哪个邮箱|邮件地址|邮箱地址", "@"),
        (r"\bweb ?(?:site|page)? ?address\b|\burl\b|网址|什么网站|哪个网站", r"\w\.[A-Za-z]{2}"),
    )
)  # fmt: skip
_HOW_MANY = re.compile(r"\bhow many (?:more )?([a-z]{3,20})\b|(?:多少|几)(?:个)?([\u4e00-\u9fff]{1,2})", re.IGNORECASE)
_CONTRACTED = re.compile(r"['’](?:s|ve|m|ll|d|re|t)$")


@dataclass(frozen=True)
class Claims:
    """``numbers``: for each number the forms it may stand in; ``codes`` and ``names`` folded."""

    numbers: tuple[frozenset[str], ...]
    codes: frozenset[str]
    names: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.numbers or self.codes or self.names)


def claims_of(text: str) -> Claims:
    """The claims of a sentence. At its beginning, a word with a capital is a name only if another follows it."""
    plain = _plain(text)
    codes = identifiers(plain)
    rest = plain
    for code in codes:
        rest = re.sub(re.escape(code), " ", rest, flags=re.IGNORECASE)
    return Claims(tuple(_numbers(rest)), codes, _names(rest))


def identifiers(text: str) -> frozenset[str]:
    """Versions, part numbers and codes: what one letter more or less makes another thing."""
    plain = _plain(text)
    found = {m.group().casefold() for m in _CODE.finditer(plain) if not _NO_CODE.fullmatch(m.group())}
    found |= {(m.group(1) or m.group(2)).casefold() for m in _VERSION.finditer(plain)}
    found |= {m.group().casefold() for m in _WRITTEN.finditer(plain)} | {_article(m) for m in _ARTICLE.finditer(plain)}
    return frozenset(code.removeprefix("v") if re.fullmatch(r"v[\d.]+", code) else code for code in found)


def missing_names(question: str, text: str) -> list[str]:
    """Proper names of a question that do not stand in ``text``, not even misspelt or as another form of the word (Istanbul and
    Instanbul, Ctenophora and ctenophores); days and months apart, which are told in other words."""
    words = {w.casefold() for w in _WORD.findall(_plain(text))}
    stems = {stem(w) for w in words}
    asked = (n for n in _names(_plain(question)) if n.rstrip("s") not in _DAYS)
    lost = [n for n in sorted(asked) if stem(n) not in stems and not any(_is_form_of(n, w) for w in words)]
    return lost or [pair for pair in _pairs(question) if _is_near_miss(pair, text)]


def _pairs(question: str) -> list[str]:
    """Names of just two words: "Business Plus" of "the Business Plus plan"."""
    runs = re.findall(r"(?<![\w'’-])[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)+", _plain(question).strip()[1:])
    return [run for run in runs if run.count(" ") == 1]


def _is_near_miss(pair: str, text: str) -> bool:
    """True if both words of a name stand in ``text``, but only in other names: "Business" and "Regular Plus"."""
    first, second = map(re.escape, pair.split(" "))
    if re.search(rf"\b{first}\W{{1,3}}{second}\b", text, re.IGNORECASE):
        return False
    return bool(re.search(rf"\b{first}\b", text)) and bool(re.search(rf"\b[A-Z][\w'’-]* {second}\b", text))


def _is_form_of(name: str, word: str) -> bool:
    """Of XQuAD's questions 8 % have a name that their paragraph writes in no way, without this; with it, 5 %."""
    if min(len(name), len(word)) < 5:
        return False
    share = int(0.6 * max(len(name), len(word)) + 0.99)
    if name[:share] == word[:share]:
        return True
    return SequenceMatcher(None, name, word).ratio() >= (0.85 if min(len(name), len(word)) > 5 else 0.9)


def missing_kind(question: str, text: str) -> str | None:
    """What a Chinese question begins with, if ``text`` has other kinds of that thing and nothing of this one.

    Chinese names a thing by its kind and what is before it: 育儿假 is leave, and so are 婚假, 产假 and 病假. A passage that lists
    three of them, and no two neighbouring characters of the one asked for, does not speak of it, however near it is in meaning.
    Of 9,204 questions of XQuAD, CMRC and DRCD about the paragraph that answers them three are taken for such.
    """
    found = _SUBJECT.match(_OPENS.sub("", question.strip()))
    if found is None:
        return None
    thing = found.group(1)
    if set(thing) & _NO_KIND or any(thing[i : i + 2] in text for i in range(len(thing) - 1)):
        return None
    kinds = set(re.findall(rf"(?=([\u4e00-\u9fff]){thing[-1]})", text)) - _NO_KIND
    is_shortened = re.search(".{0,3}".join(thing), text)  # 年假 of 年休假
    return thing if len(kinds) >= _KINDS and not is_shortened else None


def stands_in(code: str, text: str) -> bool:
    """True if ``code`` stands in ``text`` as a whole, not as a part of a longer one; but people leave out the letters that all
    codes of a list begin with: 15P of HW-15P."""
    plain = _ARTICLE.sub(_article, _plain(text)).casefold()
    pattern = rf"(?<![a-z0-9])(?<![a-z0-9][./_-])v?{re.escape(code)}(?![a-z0-9]|[./_-][a-z0-9])"
    if re.search(pattern, plain) is not None:
        return True
    is_rest = len(code) > 2 and code.isalnum() and code[0].isdigit() and not code.isdigit()
    return is_rest and re.search(rf"(?<![a-z0-9./_-])[a-z]{{1,6}}-{code}(?![a-z0-9]|[./_-][a-z0-9])", plain) is not None


def _article(match: re.Match[str]) -> str:
    """第二十三条 as 第23条."""
    return f"第{match.group(1) if match.group(1).isdecimal() else _value(match.group(1))}{match.group(2)}"


def missing(claims: Claims, text: str) -> list[str]:
    """The claims that do not stand in ``text``."""
    there = {form for forms in _numbers(_plain(text)) for form in forms}
    words = {stem(w.casefold()) for w in _WORD.findall(_plain(text))}
    lost = [max(forms, key=len) for forms in claims.numbers if not forms & there]
    lost += [code for code in sorted(claims.codes) if not stands_in(code, text)]
    return lost + [name for name in sorted(claims.names) if stem(name) not in words]


def missing_numbered(question: str, text: str) -> list[str]:
    """Numbered things of a question ("parking space 12", 12 号楼) of which ``text`` has others by the same word, and not this one."""
    asked, there = _plain(question), _plain(text)
    lost = []
    for match in _NUMBERED.finditer(asked):
        word, number = (match.group(1), match.group(2)) if match.group(1) else (match.group(4), match.group(3))
        if match.group(1) and (stem(word.casefold()) in _NOT_NUMBERED or not content_terms(word)):
            continue
        form = rf"\b{word} (\d+)\b(?![.,:%]\d|\s*%)" if match.group(1) else rf"(?<![\d.])(\d+) ?号{word}"
        numbers = set(re.findall(form, there, re.IGNORECASE))
        if numbers and number not in numbers:
            lost.append(match.group().strip())
    return lost


def is_number(term: str) -> bool:
    """True if a term only says a number, a month or half of a day: what ``missing`` compares in its own way."""
    return bool(re.match(r"\d", term)) or term in _WORDS or term in _STEMMED or not _HAN_NUMERAL.sub("", term)


def without_units(sentence: str, passage: str) -> str:
    """``sentence`` without the units that ``passage`` writes too, in whatever form: euros and EUR, days and 天."""
    for unit in _UNITS:
        if unit.search(passage):
            sentence = unit.sub(" ", sentence)
    return sentence


def units_of(text: str) -> frozenset[str]:
    """What stands behind the numbers of a text: its units, in one form where several are known."""
    found = set()
    for word in _COUNTED.findall(_plain(text)):
        known = next((str(i) for i, unit in enumerate(_UNITS) if unit.fullmatch(word)), None)
        found.add(known or word.casefold())
    return frozenset(found)


def kinds_of(text: str) -> frozenset[str]:
    """What the numbers of a text measure: money, time, weight; else the units themselves."""
    return frozenset(_KIND_OF.get(unit, unit) for unit in units_of(text))


def lost_units(sentence: str, text: str) -> bool:
    """True if a number of the sentence has a sign of money or a per cent, and ``text`` has that sign nowhere."""
    units = [_UNITS[int(u)] for u in units_of(sentence) if u.isdigit() and int(u) in _SIGNS]
    return any(not unit.search(text) for unit in units)


def is_opposite(question: str, text: str) -> bool:
    """True if the text says "this year" where the question says "last year", and the like."""
    asked, said = (
        [{i for i, form in enumerate(forms) if form.search(t)} for forms in _OPPOSITES] for t in (question, text)
    )
    return any(len(a) == 1 and b and not a & b for a, b in zip(asked, said, strict=True))


def is_of_the_form_asked(question: str, sentence: str) -> bool:
    """True if the question asks for a number to dial, an e-mail address or a web address, and the sentence has one."""
    return any(asks.search(question) and looks.search(sentence) for asks, looks in _FORMS)


def is_of_another_form(question: str, sentence: str) -> bool:
    """True if the answer cannot be what was asked for: no e-mail address where one was asked for, minutes where megabytes were.

    Of "how many" an answer is of another form only if all of its numbers have a known unit of another kind.
    """
    if any(asks.search(question) and not looks.search(sentence) for asks, looks in _FORMS):
        return bool(claims_of(sentence).numbers)  # words may tell why there is none
    found = _HOW_MANY.search(question)
    if found is None:
        return False
    asked = found.group(1) or found.group(2)
    unit = next((str(i) for i, form in enumerate(_UNITS) if form.match(asked)), None)
    if unit is None and found.group(2):
        return False  # 几人, 几次: Chinese counts what it likes
    kind = _KIND_OF.get(unit or "", unit or asked.casefold())
    said = units_of(sentence)
    return bool(said) and all(u.isdigit() for u in said) and kind not in {_KIND_OF.get(u, u) for u in said}


def is_negated(text: str) -> bool:
    """True if the text denies: an odd number of negations."""
    return len(_NEGATION.findall(text)) % 2 == 1


def _plain(text: str) -> str:
    """One width, Latin letters without accents, and thousands without separators."""
    text = unicodedata.normalize("NFKC", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub(r"\1", unicodedata.normalize("NFD", text)))
    return re.sub(r"(?<=\d)[,，](?=\d{3}(?!\d))", "", text)


def _numbers(text: str) -> Iterable[frozenset[str]]:
    text = _HAN_NUMBER.sub(lambda m: f" {_value(m.group())} ", text)
    afternoon = {m.start(1) if m.group(1) else m.start(3) for m in _HALF.finditer(text)}
    for match in _NUMBER.finditer(text):
        whole = match.group()
        hour, _, minutes = whole.partition(":")
        hour = hour.lstrip("0") or "0"
        forms = {f"{hour}:{minutes}" if minutes else hour}
        if minutes in ("", "00"):
            forms |= {hour, f"{hour}:00"}
        if match.start() in afternoon and hour.isdigit() and int(hour) < 12:
            forms |= {f.replace(hour, str(int(hour) + 12), 1) for f in forms}
        yield frozenset(forms)
    for word in _WORD.findall(text):
        folded = word.casefold()
        if folded in _WORDS and folded != "one":
            yield frozenset({_WORDS[folded], f"{_WORDS[folded]}:00"})
        elif folded in _MONTHS and word[0].isupper():
            yield frozenset({str(_MONTHS.index(folded) + 1)})


def _value(digits: str) -> int:
    """三十 to 30, 二〇二三 to 2023."""
    if not set(digits) & {"十", "百", "千", "万"}:
        return int("".join(str(_HAN_DIGITS[c]) for c in digits))
    head, ten_thousand, tail = digits.rpartition("万")
    total, digit = 0, 0
    for c in tail:
        if c in _HAN_UNITS:
            total += (digit or 1) * _HAN_UNITS[c]
            digit = 0
        else:
            digit = _HAN_DIGITS.get(c, 0)
    return total + digit + ((_value(head) if head else 1) * 10_000 if ten_thousand else 0)


def _names(text: str) -> frozenset[str]:
    found = set()
    for match in _NAME.finditer(text):
        word = match.group()
        if not content_terms(_CONTRACTED.sub("", word)) and not word.isupper():
            continue  # I've
        before = text[: match.start()].rstrip()
        begins = not before or before[-1] in ".!?。！？:：\n-*"
        after = text[match.end() :].lstrip(" ")
        if begins and not (_NAME.match(after) or not after.strip(" .!?。")):
            continue
        if word.casefold() not in _NO_NAME and (content_terms(word) or word.isupper()):
            found.add(_CONTRACTED.sub("", word.casefold()))
    return frozenset(found)
