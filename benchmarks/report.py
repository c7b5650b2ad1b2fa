"""How often reports are right, with the help (three queries, a vote, mending) and without it.

    python benchmarks/report.py --base-url http://127.0.0.1:8642 --model MODEL [--json out.json]

Asks the 44 questions of ``zhilu.apps.report.acceptance`` twice and prints each query. No timing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from pathlib import Path

from zhilu.apps.report.acceptance import Judged, judge_all
from zhilu.client import ModelClient


def show(number: int, judged: Judged) -> None:
    section = judged.section
    print(f"{number + 1:2} {judged.outcome:8} {judged.case.question}")
    print(f"   {' '.join(section.sql.split())}  [{section.agreed} of {len(section.attempts)} agree]")
    for sentence in section.sentences:
        print(
            f"   {'+' if sentence.is_kept else '-'} {sentence.text}",
            "" if sentence.is_kept else f"({sentence.why})",
            flush=True,
        )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--only", choices=["help", "plain"])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {}
    async with ModelClient(given.base_url) as client:
        for name in ("help", "plain"):
            if given.only in (None, name):
                judged = await judge_all(client, given.model, help_model=name == "help", each=show)
                counts = Counter(j.outcome for j in judged)
                told = sum(s.is_kept for j in judged for s in j.section.sentences)
                left = sum(not s.is_kept for j in judged for s in j.section.sentences)
                print(f"{given.model}, {name}: {dict(counts)} of {len(judged)}; sentences kept {told}, left out {left}")
                found[name] = [j.model_dump(mode="json") for j in judged]
    if given.json:
        given.json.write_text(json.dumps(found, ensure_ascii=False, indent=1))


asyncio.run(main())
