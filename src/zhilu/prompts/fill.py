"""Fill in the middle: how each family of models is asked for the text between a beginning and an end.

A model was taught this with tokens of its own (Bavarian et al. 2022, https://arxiv.org/abs/2207.14255); one that has no such
tokens cannot do it. Qwen's also has tokens for further files of the same repository (Qwen2.5-Coder, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FILL_MARKS", "FillMarks"]


@dataclass(frozen=True)
class FillMarks:
    """
    Attributes:
        ends: what a model writes when it is done, beside its own end.
        file, repo: before the path of a further file, and before the name of the repository.
    """

    prefix: str
    suffix: str
    middle: str
    ends: tuple[str, ...] = ()
    file: str = ""
    repo: str = ""

    def prompt(
        self, prefix: str, suffix: str, files: Sequence[tuple[str, str]] = (), *, repo: str = "", path: str = ""
    ) -> str:
        """The raw prompt. ``files``: path and text of further files; without ``file`` in the family they are left out."""
        before = ""
        if self.file and files:
            before = f"{self.repo}{repo or 'repository'}\n" + "".join(f"{self.file}{p}\n{text}\n" for p, text in files)
            before += f"{self.file}{path or 'file'}\n"
        return f"{before}{self.prefix}{prefix}{self.suffix}{suffix}{self.middle}"

    def parts(self, prompt: str) -> tuple[str, str] | None:
        """Prefix and suffix of a prompt that a client has put together itself; None where it is none of this family."""
        _, is_here, rest = prompt.rpartition(self.prefix)
        prefix, has_suffix, rest = rest.partition(self.suffix)
        suffix, has_middle, behind = rest.partition(self.middle)
        return (prefix, suffix) if is_here and has_suffix and has_middle and not behind else None


FILL_MARKS: tuple[FillMarks, ...] = (
    FillMarks(
        "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
        ("<|endoftext|>", "<|fim_pad|>", "<|file_sep|>", "<|im_end|>"), "<|file_sep|>", "<|repo_name|>",
    ),
    FillMarks("<fim_prefix>", "<fim_suffix>", "<fim_middle>", ("<|endoftext|>", "<file_sep>"), "<file_sep>", "<repo_name>"),
    FillMarks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>", ("<｜end▁of▁sentence｜>",)),
)  # fmt: skip
