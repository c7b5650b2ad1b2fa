"""What help is worth to a small model: single turns and 12 tasks, each with and without help, every answer printed.

    python benchmarks/agents.py --model qwen-coder-1.5b                     # the running gateway, or one started for this
    python benchmarks/agents.py --model qwen-coder-0.5b --per-kind 5 --tasks 0
    python benchmarks/agents.py --per-kind 100 --tasks 0                    # all 400 turns: an hour or more on two cores

    python benchmarks/agents.py --set unseen --per-kind 0                   # twelve other tasks (benchmarks/agent_tasks)

Turns are scored by exact match, tasks by the state of the world (see ``zhilu.agents.proofs``). Prints JSON at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from agent_tasks import make_knowledge, unseen_tasks

from zhilu.agents.proofs.calls import KINDS, Turn, measure, rate, sample
from zhilu.agents.proofs.tasks import TASKS
from zhilu.agents.proofs.work import Done, work_through
from zhilu.client import connect
from zhilu.context import open_context
from zhilu.models.chosen import named_model


def say_turn(turn: Turn) -> None:
    print("✓" if turn.right else "✗", turn.item.kind, turn.item.ask, "→", turn.calls or turn.text[:80], flush=True)


def say_task(done: Done) -> None:
    print(
        "✓" if done.reached else "✗",
        done.task.name,
        done.ending.stop,
        f"{done.ending.steps} steps",
        done.run.id,
        flush=True,
    )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="default: the one that runs")
    parser.add_argument("--set", choices=["known", "unseen"], default="known", help="which tasks")
    parser.add_argument("--per-kind", type=int, default=25, help="turns of each of the four kinds")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--skip", type=int, default=0, help="tasks at the beginning")
    parser.add_argument("--only", choices=["help", "plain"])
    wanted = parser.parse_args()
    context = open_context()
    model = named_model(context, wanted.model)
    tasks = TASKS
    if wanted.set == "unseen":
        make_knowledge(context)
        tasks = unseen_tasks()
    figures: dict[str, Any] = {"model": model, "set": wanted.set}
    async with connect(context) as client:
        for name in [wanted.only] if wanted.only else ["plain", "help"]:
            print(f"== {name}")
            turns = (
                await measure(client, model, sample(wanted.per_kind), help=name == "help", told=say_turn)
                if wanted.per_kind
                else []
            )
            done = await work_through(
                context,
                client,
                model,
                tasks[wanted.skip : wanted.skip + wanted.tasks],
                help=name == "help",
                told=say_task,
            )
            figures[name] = {
                "turns": len(turns),
                "right": round(rate(turns), 3),
                **{kind: round(rate(turns, kind), 3) for kind in KINDS},
                "tasks": len(done),
                "reached": sum(one.reached for one in done),
            }
    context.close()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
