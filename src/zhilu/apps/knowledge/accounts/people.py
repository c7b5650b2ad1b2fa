"""People, groups, and what a group may read.

Roles: a reader asks and reads; an editor also has documents added, removed and sources read again, where he may read all of a
knowledge base; an admin also gives accounts and leave, and sees the audit log. No role reads anything by itself: what a person may
read is what his groups may, an admin's, too.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from zhilu.apps.knowledge.accounts.passwords import checked_password, hashed
from zhilu.apps.knowledge.audit import record_in
from zhilu.apps.knowledge.store import Ledger, utc_now
from zhilu.errors import ConflictError, InputError, NotFoundError
from zhilu.messages import T
from zhilu.rag.answer import Leave

__all__ = ["KnowledgeGroup", "KnowledgeLeave", "KnowledgePerson", "People", "Role", "covers"]

Role = Literal["reader", "editor", "admin"]
Names = list[str]


class KnowledgePerson(BaseModel):
    """``origin``: ``local`` with a password here, or the address of the OpenID provider that knows the person."""

    id: str
    name: str
    shown: str
    role: Role
    origin: str
    disabled: bool
    groups: Names


class KnowledgeLeave(BaseModel):
    """``folder`` empty: all of the knowledge base."""

    kb_id: str
    folder: str


class KnowledgeGroup(BaseModel):
    id: str
    name: str
    members: Names
    leaves: list[KnowledgeLeave]


class People:
    """Every change is written with its row of the audit log; ``who`` makes it."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    # People ------------------------------------------------------------------------------------------------------------

    def every(self) -> list[KnowledgePerson]:
        return [self._person(r) for r in self.ledger.rows("SELECT * FROM people ORDER BY name")]

    def get(self, name_or_id: str) -> KnowledgePerson:
        """
        Raises:
            NotFoundError: nobody of that name.
        """
        row = self.ledger.row("SELECT * FROM people WHERE id = ? OR name = ?", (name_or_id, name_or_id))
        if row is None:
            raise NotFoundError(
                T(f"There is nobody called {name_or_id!r}.", f"没有名为 {name_or_id!r} 的用户。"),
                fix="zhilu knowledge user list",
            )
        return self._person(row)

    def num_people(self) -> int:
        return int(self.ledger.value("SELECT COUNT(*) FROM people"))

    def add(
        self, name: str, password: str, role: Role = "reader", *, shown: str = "", who: str, only_first: bool = False
    ) -> KnowledgePerson:
        """
        Raises:
            InputError: the name or the password is refused. ConflictError: the name is taken; ``only_first``: somebody is here.
        """
        name = _checked_name(name)
        secret = hashed(checked_password(password, name))
        person_id = secrets.token_hex(6)
        with self.ledger.write() as connection:
            if only_first and connection.execute("SELECT 1 FROM people LIMIT 1").fetchone() is not None:
                raise ConflictError(
                    T("There are accounts already: sign in.", "已经有账号，请登录。"), code="set_up_already"
                )
            _insert(
                connection, "people", id=person_id, name=name, shown=shown.strip()[:100] or name, role=role,
                password=secret, created_at=utc_now(),
            )  # fmt: skip
            record_in(connection, who, "user.add", name, role=role)
        return self.get(person_id)

    def known_by(
        self, issuer: str, subject: str, name: str, shown: str, groups: Sequence[str] | None
    ) -> KnowledgePerson:
        """The person whom an OpenID provider knows as ``subject``, made at the first sign-in. He never becomes another account
        of the same name. ``groups``: those that exist here are his from now on, and no others; None: the provider says nothing."""
        with self.ledger.write() as connection:
            row = connection.execute(
                "SELECT * FROM people WHERE issuer = ? AND subject = ?", (issuer, subject)
            ).fetchone()
            if row is None:
                person_id, wanted = secrets.token_hex(6), _possible_name(name)
                taken = connection.execute("SELECT 1 FROM people WHERE name = ?", (wanted,)).fetchone()
                called = wanted if taken is None else f"{wanted[:48]}-{person_id}"
                _insert(
                    connection, "people", id=person_id, name=called, shown=shown.strip()[:100] or called, role="reader",
                    issuer=issuer, subject=subject, created_at=utc_now(),
                )  # fmt: skip
                record_in(connection, called, "user.add", called, role="reader", issuer=issuer)
            else:
                person_id, called = row["id"], row["name"]
            if groups is not None:
                _join(connection, person_id, called, groups, called)
        return self.get(person_id)

    def change(
        self, name: str, *, who: str, role: Role | None = None, disabled: bool | None = None, password: str | None = None,
        groups: Sequence[str] | None = None,
    ) -> KnowledgePerson:  # fmt: skip
        """What is None stays. A new password or a disabled account ends the sessions of that person.

        Raises:
            NotFoundError: no such person or group. ConflictError: nobody would be left who can sign in as an admin.
        """
        person = self.get(name)
        if password is not None and person.origin != "local":
            raise InputError(
                T(f"{person.name} signs in at {person.origin}.", f"{person.name} 通过 {person.origin} 登录。")
            )
        secret = hashed(checked_password(password, person.name)) if password is not None else None
        with self.ledger.write() as connection:
            if role is not None:
                connection.execute("UPDATE people SET role = ? WHERE id = ?", (role, person.id))
            if disabled is not None:
                connection.execute("UPDATE people SET disabled = ? WHERE id = ?", (disabled, person.id))
            if secret is not None:
                connection.execute("UPDATE people SET password = ? WHERE id = ?", (secret, person.id))
            if secret is not None or disabled:
                connection.execute("DELETE FROM sessions WHERE person_id = ?", (person.id,))
            if groups is not None:
                missing = set(groups) - _join(connection, person.id, person.name, groups, who)
                if missing:
                    raise _no_group(sorted(missing)[0])
            if person.role == "admin" and not person.disabled:
                _keep_an_admin(connection)
            changed = {"role": role, "disabled": disabled, "password": "changed" if secret else None}
            if told := {k: v for k, v in changed.items() if v is not None}:
                record_in(connection, who, "user.change", person.name, **told)
        return self.get(person.id)

    def remove(self, name: str, *, who: str) -> None:
        """The person's own questions go, too; the audit log stays."""
        person = self.get(name)
        with self.ledger.write() as connection:
            connection.execute("DELETE FROM people WHERE id = ?", (person.id,))
            connection.execute("DELETE FROM questions WHERE person_id = ?", (person.id,))
            if person.role == "admin" and not person.disabled:
                _keep_an_admin(connection)
            record_in(connection, who, "user.remove", person.name)

    # Groups and leave ----------------------------------------------------------------------------------------------------

    def groups(self) -> list[KnowledgeGroup]:
        found = []
        for row in self.ledger.rows("SELECT id, name FROM groups ORDER BY name"):
            members = self.ledger.rows(
                "SELECT p.name FROM people p JOIN members m ON m.person_id = p.id WHERE m.group_id = ? ORDER BY p.name",
                (row["id"],),
            )
            leaves = self.ledger.rows(
                "SELECT kb_id, folder FROM leaves WHERE group_id = ? ORDER BY kb_id, folder", (row["id"],)
            )
            found.append(
                KnowledgeGroup(
                    id=row["id"], name=row["name"], members=[m["name"] for m in members],
                    leaves=[KnowledgeLeave(**dict(leave)) for leave in leaves],
                )
            )  # fmt: skip
        return found

    def group(self, name_or_id: str) -> KnowledgeGroup:
        found = next((g for g in self.groups() if name_or_id == g.id or name_or_id.lower() == g.name.lower()), None)
        if found is None:
            raise _no_group(name_or_id)
        return found

    def add_group(self, name: str, *, who: str) -> KnowledgeGroup:
        name = " ".join(name.split())
        if not 1 <= len(name) <= 60:
            raise InputError(
                T("A group needs a name of 1 to 60 characters.", "用户组名称须为 1 到 60 个字符。"), param="name"
            )
        group_id = secrets.token_hex(6)
        with self.ledger.write() as connection:
            _insert(connection, "groups", id=group_id, name=name, created_at=utc_now())
            record_in(connection, who, "group.add", name)
        return self.group(group_id)

    def remove_group(self, name: str, *, who: str) -> None:
        group = self.group(name)
        with self.ledger.write() as connection:
            connection.execute("DELETE FROM groups WHERE id = ?", (group.id,))
            record_in(connection, who, "group.remove", group.name)

    def grant(self, group: str, kb_id: str, folder: str = "", *, who: str) -> None:
        found, folder = self.group(group), _folder(folder)
        with self.ledger.write() as connection:
            connection.execute("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?)", (found.id, kb_id, folder))
            record_in(connection, who, "leave.grant", found.name, kb=kb_id, folder=folder)

    def revoke(self, group: str, kb_id: str, folder: str | None = None, *, who: str) -> int:
        """Take leave back; ``folder`` None: every leave for this knowledge base. How many there were."""
        found = self.group(group)
        only, args = ("", ()) if folder is None else (" AND folder = ?", (_folder(folder),))
        with self.ledger.write() as connection:
            gone = connection.execute(
                f"DELETE FROM leaves WHERE group_id = ? AND kb_id = ?{only}", (found.id, kb_id, *args)
            ).rowcount
            record_in(connection, who, "leave.revoke", found.name, kb=kb_id, folder=folder)
        return gone

    def leaves(self, person_id: str) -> list[Leave]:
        """What a person may read now; nothing once the account is disabled or gone."""
        rows = self.ledger.rows(
            "SELECT DISTINCT l.kb_id, l.folder FROM leaves l JOIN members m ON m.group_id = l.group_id"
            " JOIN people p ON p.id = m.person_id WHERE p.id = ? AND NOT p.disabled",
            (person_id,),
        )
        whole = {r["kb_id"] for r in rows if not r["folder"]}
        parts: dict[str, list[str]] = {}
        for row in rows:
            if row["kb_id"] not in whole:
                parts.setdefault(row["kb_id"], []).append(row["folder"])
        return [Leave(kb) for kb in sorted(whole)] + [Leave(kb, tuple(sorted(f))) for kb, f in sorted(parts.items())]

    def _person(self, row: sqlite3.Row) -> KnowledgePerson:
        groups = self.ledger.rows(
            "SELECT g.name FROM groups g JOIN members m ON m.group_id = g.id WHERE m.person_id = ? ORDER BY g.name",
            (row["id"],),
        )
        return KnowledgePerson(
            id=row["id"], name=row["name"], shown=row["shown"], role=row["role"], origin=row["issuer"] or "local",
            disabled=bool(row["disabled"]), groups=[g["name"] for g in groups],
        )  # fmt: skip


def covers(mine: Sequence[Leave], other: Sequence[Leave]) -> bool:
    """Whether everything that ``other`` allows, ``mine`` allows, too."""
    whole = {leave.kb_id for leave in mine if leave.folders is None}
    parts = {(leave.kb_id, folder) for leave in mine for folder in leave.folders or ()}

    def has(kb_id: str, folder: str) -> bool:
        steps = folder.split("/")
        return any((kb_id, "/".join(steps[:n])) in parts for n in range(1, len(steps) + 1))

    return all(
        leave.kb_id in whole or (leave.folders is not None and all(has(leave.kb_id, f) for f in leave.folders))
        for leave in other
    )


def _join(connection: sqlite3.Connection, person_id: str, name: str, groups: Sequence[str], who: str) -> set[str]:
    """Make these a person's groups; those of them that exist."""
    wanted = {g.lower(): g for g in groups}
    there = {
        r["id"]: r["name"] for r in connection.execute("SELECT id, name FROM groups") if r["name"].lower() in wanted
    }
    before = {r[0] for r in connection.execute("SELECT group_id FROM members WHERE person_id = ?", (person_id,))}
    if before != set(there):
        connection.execute("DELETE FROM members WHERE person_id = ?", (person_id,))
        connection.executemany("INSERT INTO members VALUES (?, ?)", [(person_id, g) for g in there])
        record_in(connection, who, "user.groups", name, groups=sorted(there.values()))
    return {wanted[n.lower()] for n in there.values()}


def _insert(connection: sqlite3.Connection, table: str, **values: object) -> None:
    holes = ", ".join("?" * len(values))
    try:
        connection.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({holes})", tuple(values.values()))
    except sqlite3.IntegrityError as error:
        taken = values.get("name")
        raise ConflictError(T(f"{taken!r} is taken.", f"{taken!r} 已被占用。"), param="name") from error


def _keep_an_admin(connection: sqlite3.Connection) -> None:
    if connection.execute("SELECT 1 FROM people WHERE role = 'admin' AND NOT disabled LIMIT 1").fetchone() is None:
        raise ConflictError(T("One admin must stay.", "至少要保留一名管理员。"), code="last_admin")


def _checked_name(name: str) -> str:
    name = name.strip()
    if name != _possible_name(name):
        raise InputError(
            T(
                "A user name has 1 to 64 letters, digits, dots, dashes, underscores or @.",
                "用户名须为 1 到 64 个字母、数字、点、横线、下划线或 @。",
            ),
            param="name",
        )
    return name


def _possible_name(name: str) -> str:
    kept = "".join(c for c in name.strip() if c.isalnum() or c in "._-@")[:64]
    return kept or "user"


def _folder(folder: str) -> str:
    return "/".join(step for step in folder.replace("\\", "/").split("/") if step not in ("", "."))


def _no_group(name: str) -> NotFoundError:
    return NotFoundError(T(f"There is no group {name!r}.", f"没有用户组 {name!r}。"), fix="zhilu knowledge group list")
