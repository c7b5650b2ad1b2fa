"""Expressions of module names, as PEFT's ``rank_pattern`` holds them: matched in time that grows with the name's length.

An adapter comes from strangers, and Python's matcher takes years over ``(.*)+x``. A name with dots in it, which is what PEFT
writes, is left to Python: without repetition nothing can be tried twice. Anything else goes to llguidance's matcher of
derivatives, which reads each character once; it has no lookarounds and no back references, which are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

__all__ = ["MAX_PATTERNS", "name_matcher", "value_for"]

MAX_PATTERNS = 10_000  # each is tried on each module
_MAX_CHARS = 1000
_PLAIN = re.compile(r"\^?(?:[\w.-]|\\[.d])*\$?")


def value_for(module: str, patterns: Mapping[str, Any], default: Any) -> Any:
    """The value of the first pattern that fits the end of the module's name, as PEFT's ``get_pattern_key``.

    Raises:
        ValueError: an expression that cannot be matched so, or too many of them.
    """
    if len(patterns) > MAX_PATTERNS:
        raise ValueError(f"{len(patterns)} patterns; at most {MAX_PATTERNS} are read")
    for pattern, value in patterns.items():
        if name_matcher(pattern)(module):
            return value
    return default


@lru_cache(maxsize=MAX_PATTERNS)
def name_matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a name is, or ends behind a dot with, what the pattern says.

    Raises:
        ValueError: the pattern is no regular expression, too long, or needs a matcher that goes back.
    """
    if len(pattern) > _MAX_CHARS:
        raise ValueError(f"a pattern of {len(pattern)} characters; at most {_MAX_CHARS} are read")
    if _PLAIN.fullmatch(pattern):
        plain = re.compile(rf"(?:.*\.)?(?:{pattern})$")
        return lambda name: plain.match(name) is not None
    from llguidance import LLMatcher, LLTokenizer

    begins, rest = pattern.startswith("^"), pattern.removeprefix("^").removesuffix("$")
    expression = f"({rest})" if begins else rf"(.*\.)?({rest})"
    letters = LLTokenizer("byte")
    escaped = expression.replace("\n", r"\n").replace("/", r"\/")
    matcher = LLMatcher(letters, f"%llguidance {{}}\nstart: /{escaped}/\n", log_level=0)
    if matcher.is_error():
        raise ValueError(f"{pattern!r} is no expression that can be matched in one pass")

    def matches(name: str) -> bool:
        matcher.reset()
        tokens = letters.tokenize_str(name)
        return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())

    return matches
