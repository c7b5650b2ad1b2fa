"""A Modelfile: the model, its chat template in Ollama's language, and the words at which it stops.

Ollama's templates are Go's. It knows those of famous models by their text; for any other GGUF file a chat becomes plain text,
and the model answers as a base model would. So the template is written out from what the model's own template does: the
words that it puts around a message of each role are found by rendering messages with marks in them, and what is put together
from these words must be, letter by letter, what the template itself renders of conversations of several shapes.

Source: https://docs.ollama.com/modelfile and https://docs.ollama.com/template.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zhilu.engine.model.config import read_config
from zhilu.engine.text.ends import end_ids
from zhilu.engine.text.tokenizer import Tokenizer
from zhilu.errors import ZhiluError

__all__ = ["Around", "modelfile", "words_around"]

_MARK = "\u2592mark\u2592"


@dataclass(frozen=True)
class Around:
    """The words before and behind a message, by role, and those that ask for an answer."""

    system: tuple[str, str] | None
    user: tuple[str, str]
    assistant: tuple[str, str]
    asks: str
    first: str = ""

    def render(self, messages: Sequence[dict[str, str]]) -> str:
        parts = [self.first]
        for message in messages:
            before, behind = getattr(self, message["role"])
            parts += [before, message["content"], behind]
        return "".join(parts) + self.asks

    def go(self) -> str:
        """The same as a Go template."""
        roles = [(role, getattr(self, role)) for role in ("system", "user", "assistant") if getattr(self, role)]
        branches = "".join(
            f'{{{{ {"else " if number else ""}if eq .Role "{role}" }}}}{_literal(before)}{{{{ .Content }}}}{_literal(behind)}'
            for number, (role, (before, behind)) in enumerate(roles)
        )
        return (
            f"{_literal(self.first)}{{{{ range .Messages }}}}{branches}{{{{ end }}}}{{{{ end }}}}{_literal(self.asks)}"
        )


def words_around(tokenizer: Tokenizer) -> Around | None:
    """What a model's chat template puts around messages; None where it does more than that to some conversation."""
    try:
        found = _found(tokenizer)
        if found is None:
            return None
        for roles in (
            ("user",),
            ("system", "user"),
            ("user", "assistant", "user"),
            ("system", "user", "assistant", "user"),
        ):
            if "system" in roles and found.system is None:
                continue
            messages = [{"role": role, "content": f"{role} says {n}, 好"} for n, role in enumerate(roles)]
            if tokenizer.render_chat(messages, None, add_generation_prompt=True) != found.render(messages):
                return None
    except ZhiluError:
        return None
    return found


def _found(tokenizer: Tokenizer) -> Around | None:
    def render(*roles: str, asks: bool = False) -> str:
        messages = [{"role": role, "content": f"{role}{_MARK}"} for role in roles]
        return tokenizer.render_chat(messages, None, add_generation_prompt=asks)

    user = render("user")
    dialogue = render("user", "assistant", "user")
    if not dialogue.startswith(user) or not dialogue.endswith(f"user{_MARK}" + user.partition(f"user{_MARK}")[2]):
        return None
    before_user, _, behind_user = user.partition(f"user{_MARK}")
    rest = dialogue[len(user) :]
    before_answer, mark, tail = rest.partition(f"assistant{_MARK}")
    behind_answer, mark_again, _ = tail.partition(f"user{_MARK}")
    if not mark or not mark_again:
        return None
    # What stands between an answer and the next question is both: what follows the answer, and what leads in the question.
    opening = _shared_end(before_user, behind_answer)
    first = before_user[: len(before_user) - len(opening)]
    behind_answer = behind_answer[: len(behind_answer) - len(opening)]
    system = None
    whole = render("system", "user")
    if whole.startswith(first) and whole.endswith(opening + f"user{_MARK}" + behind_user) and f"system{_MARK}" in whole:
        before_system, _, behind_system = whole[len(first) :].partition(f"system{_MARK}")
        behind_system = behind_system[: len(behind_system) - len(opening + f"user{_MARK}" + behind_user)]
        system = (before_system, behind_system)
    asks = render("user", asks=True)[len(user) :]
    return Around(system, (opening, behind_user), (before_answer, behind_answer), asks, first)


def _shared_end(one: str, other: str) -> str:
    count = 0
    while count < min(len(one), len(other)) and one[-1 - count] == other[-1 - count]:
        count += 1
    return one[len(one) - count :] if count else ""


def _literal(text: str) -> str:
    """Words of a Go template; braces would begin an action."""
    return text.replace("{{", '{{ "{{" }}')


def modelfile(model: Path, file: str) -> tuple[str, bool]:
    """The Modelfile of a GGUF file made from the folder ``model``; False where its template cannot be written in Go.

    Then Ollama goes by the template inside the file, which it understands for the famous ones only.
    """
    tokenizer = Tokenizer(model)
    lines = [f"FROM ./{file}"]
    around = words_around(tokenizer)
    if around is not None:
        lines.append(f'TEMPLATE """{around.go()}"""')
    names = (tokenizer.name_of(id) for id in sorted(end_ids(model, read_config(model), tokenizer)))
    lines += [f'PARAMETER stop "{name}"' for name in names if name]
    return "\n".join(lines) + "\n", around is not None
