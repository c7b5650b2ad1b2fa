"""Source code: the text as it is; the definitions that stand at the left become headings, so that a citation names its function."""

from __future__ import annotations

import re
from pathlib import Path

from zhilu.messages import T
from zhilu.rag.load.base import Heading, Limits, Loaded, LoaderFacts, nothing_to_read
from zhilu.rag.load.decode import decode

__all__ = ["LOADER", "SUFFIXES", "CodeLoader", "definitions"]

SUFFIXES = (
    ".py", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".java", ".kt", ".go", ".rs", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".rb",
    ".php", ".swift", ".scala", ".sh", ".bash", ".ps1", ".sql", ".r", ".lua", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".css", ".xml",
)  # fmt: skip
# At most the words that languages put before a name, each bounded: linear on any line.
_DEFINITION = re.compile(
    r"^(?:(?:export|default|public|private|protected|internal|static|final|abstract|async|pub(?:\([a-z]{1,10}\))?|unsafe|open|data) ){0,5}"
    r"(?:def|class|function\*?|func|fn|interface|struct|enum|trait|impl|type|module|namespace|object|record|CREATE (?:TABLE|VIEW|FUNCTION))"
    r" (?:\([^)\n]{0,80}\) )?([A-Za-z_$][\w$.]{0,80})",
    re.MULTILINE | re.IGNORECASE,
)


class CodeLoader:
    facts = LoaderFacts("code", T(en="Source code", zh="源代码"), "text/x-source", SUFFIXES)

    def load(self, path: Path, limits: Limits) -> Loaded:
        text = decode(path.read_bytes())[0].strip("\n")
        if not text.strip():
            raise nothing_to_read()
        return Loaded(text, self.facts.mime, outline=definitions(text))


def definitions(text: str) -> tuple[Heading, ...]:
    """Functions, classes and their like that are not indented."""
    return tuple(Heading(1, match.group(1), match.start()) for match in _DEFINITION.finditer(text))


LOADER = CodeLoader()
