"""Writes the table of what each engine can do into docs/en/serving.md and docs/zh/serving.md, from the engines' own facts.

python scripts/capability_table.py          # write
python scripts/capability_table.py --check  # fail where the documentation is stale
"""

from __future__ import annotations

import sys
from pathlib import Path

from zhilu.serving.engines import engine_registry
from zhilu.wire import CAPABILITIES

BEGIN, END = "<!-- capabilities -->", "<!-- /capabilities -->"
HEAD = {"en": "what a request may ask for | fields and addresses", "zh": "请求可以要求什么 | 字段与地址"}


def table(lang: str) -> str:
    """Rows that at least one engine can; an engine behind a URL is asked for everything, so it has no column."""
    facts = [
        engine.facts for engine in map(engine_registry().get, engine_registry().names()) if engine.facts.is_process
    ]
    lines = [
        f"| {HEAD[lang]} | " + " | ".join(f"`{one.name}`" for one in facts) + " |",
        "|---" * (2 + len(facts)) + "|",
    ]
    for word, one in CAPABILITIES.items():
        if not any(word in engine.can for engine in facts):
            continue
        asked = [*one.paths, *one.fields, *one.parts]
        cells = ["✓" if word in engine.can else "" for engine in facts]
        lines.append(f"| {one.title[lang == 'zh']} | {' '.join(f'`{name}`' for name in asked)} | {' | '.join(cells)} |")
    return "\n".join(lines)


_BY_GATEWAY = {"suffix"}  # what no engine takes, and the gateway does itself


def nowhere(lang: str) -> str:
    """The fields that no engine here can take."""
    engines = [engine_registry().get(name).facts for name in engine_registry().names()]
    words = [
        word for word in CAPABILITIES if word not in _BY_GATEWAY and not any(word in facts.can for facts in engines)
    ]
    names = [f"`{name}`" for word in words for name in (*CAPABILITIES[word].fields, *CAPABILITIES[word].parts)]
    text = {"en": "Known, and refused by name everywhere: ", "zh": "已知但在任何引擎上都按名称拒绝："}[lang]
    filled = {
        "en": " `suffix` is put into the prompt by the gateway, for models whose vocabulary has the marks.",
        "zh": "`suffix` 由网关写进提示词，适用于词表中有相应标记的模型。",
    }[lang]
    return text + {"en": ", ", "zh": "、"}[lang].join(names) + {"en": ".", "zh": "。"}[lang] + filled


def written(text: str, lang: str) -> str:
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(lang)}\n\n{nowhere(lang)}\n{END}{after}"


def main() -> int:
    stale = []
    for lang in ("en", "zh"):
        path = Path(__file__).parents[1] / "docs" / lang / "serving.md"
        text = path.read_text(encoding="utf-8")
        if (new := written(text, lang)) != text:
            stale.append(str(path))
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print("stale: " + ", ".join(stale) + "; run: python scripts/capability_table.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
