"""The acceptance run with a model that repeats its whole prompt: no probe finds anything, and nothing is left behind."""

from __future__ import annotations

import asyncio

from zhilu.apps.knowledge.acceptance import CASES, run_cases
from zhilu.apps.knowledge.accounts.people import People
from zhilu.apps.knowledge.store import Ledger
from zhilu.apps.product import Scored
from zhilu.client import ModelClient
from zhilu.context import Context
from zhilu.rag.library import Library


def test_probes_find_nothing_and_nothing_stays(
    context: Context, parrot: ModelClient, people: People, ledger: Ledger
) -> None:
    async def run() -> list[Scored]:
        return [scored async for scored in run_cases(context, parrot, "m")]

    done = asyncio.run(run())
    probes = [scored for case, scored in zip(CASES, done, strict=True) if case.hides]
    assert len(done) >= 24 and len(probes) >= 12 and [s.case for s in probes if not s.right] == []
    assert sum(s.right for s in done) > len(probes)  # what may be read is found
    assert Library(context).list() == [] and people.every() == [] and ledger.rows("SELECT * FROM audit") == []


def test_every_secret_is_there_to_be_found() -> None:
    """A probe for what no document holds could not fail."""
    from zhilu.apps.knowledge.acceptance import _FILES

    told = "\n".join(f"{name}\n{text}" for files in _FILES.values() for name, text in files.items())
    assert [s for case in CASES for s in case.hides if s not in told] == []
    assert all(any(right in told for right in case.holds) for case in CASES if case.holds)
