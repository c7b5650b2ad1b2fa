"""How a desk does: answered alone, handed over, satisfaction, and what it could not answer."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from pydantic import BaseModel
from sqlalchemy import select

from zhilu.apps.support.tables import ContactRow, LineRow
from zhilu.context import Context

__all__ = ["DeskFigures", "figures_of"]

_MOST = 20_000  # conversations looked at, the newest


class DeskFigures(BaseModel):
    """``alone``: the bot answered something and nobody was asked for. ``satisfaction``: the mean of the ratings. ``answered_by``:
    the bot's lines by what answered. ``unanswered``: the newest questions without an answer, to be made canned answers of."""

    num_contacts: int
    num_alone: int
    num_handed_over: int
    num_waiting: int
    reasons: dict[str, int]
    answered_by: dict[str, int]
    num_ratings: int
    satisfaction: float | None
    ratings: list[int]
    unanswered: list[str]


def figures_of(context: Context, desk_id: str) -> DeskFigures:
    with context.database.reading() as session:
        contacts = session.scalars(
            select(ContactRow).where(ContactRow.desk_id == desk_id).order_by(ContactRow.updated_at.desc()).limit(_MOST)
        ).all()
        by_contact: dict[str, list[LineRow]] = {c.id: [] for c in contacts}
        wanted = (
            select(LineRow)
            .join(ContactRow, ContactRow.id == LineRow.contact_id)
            .where(ContactRow.desk_id == desk_id, LineRow.role.in_(("bot", "customer")))
            .order_by(LineRow.id)
        )
        for line in session.scalars(wanted):
            if line.contact_id in by_contact:
                by_contact[line.contact_id].append(line)
    answered_by: Counter[str] = Counter()
    unanswered: list[tuple[int, str]] = []
    alone = 0
    for contact in contacts:
        lines = by_contact[contact.id]
        bots = [line.details.get("by", "rule") for line in lines if line.role == "bot"]
        answered_by.update(bots)
        alone += contact.ticket is None and any(by != "nothing" for by in bots)
        for said, reply in pairwise(lines):
            is_miss = reply.details.get("by") == "nothing" or reply.details.get("reason") == "unanswered"
            if said.role == "customer" and reply.role == "bot" and is_miss:
                unanswered.append((said.id, said.content[:200]))
    ratings = [c.rating for c in contacts if c.rating is not None]
    newest = [text for _, text in sorted(unanswered, reverse=True)]
    return DeskFigures(
        num_contacts=len(contacts),
        num_alone=alone,
        num_handed_over=sum(c.ticket is not None for c in contacts),
        num_waiting=sum(c.status == "waiting" for c in contacts),
        reasons=dict(Counter(c.reason for c in contacts if c.reason)),
        answered_by=dict(answered_by),
        num_ratings=len(ratings),
        satisfaction=round(sum(ratings) / len(ratings), 2) if ratings else None,
        ratings=[ratings.count(n) for n in range(1, 6)],
        unanswered=list(dict.fromkeys(newest))[:20],
    )
