"""Signing in, with few tries, and sessions: a random token in a cookie, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
import time

from zhilu.apps.knowledge.accounts.passwords import matches
from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People
from zhilu.apps.knowledge.audit import record
from zhilu.apps.knowledge.store import Ledger
from zhilu.errors import AuthError, BusyError
from zhilu.messages import T

__all__ = ["HOURS", "begin_session", "end_session", "person_of", "sign_in"]

HOURS = 12
# Tries that may fail within the window, of one name and from one address.
_WINDOW = 15 * 60.0
_OF_A_NAME, _FROM_AN_ADDRESS = 5, 30


def sign_in(ledger: Ledger, name: str, password: str, address: str) -> KnowledgePerson:
    """
    Raises:
        AuthError: name and password do not go together; which of them is not said. BusyError: too many tries.
    """
    name = name.strip()[:64]
    _count_try(ledger, name, address)  # before the password is looked at: tries at the same time count, too
    row = ledger.row("SELECT id, password, disabled FROM people WHERE name = ?", (name,))
    fits = matches(password, row["password"] if row is not None else None)
    if row is None or not fits or row["disabled"]:
        record(ledger, "", "sign_in.failed", name if row is not None else "", address=address)
        raise AuthError(T("This name and password do not go together.", "用户名或密码不正确。"), code="wrong_password")
    with ledger.write() as connection:
        connection.execute("DELETE FROM failures WHERE who = ?", (f"name:{name.lower()}",))
    person = People(ledger).get(row["id"])
    record(ledger, person.name, "sign_in", person.name, address=address)
    return person


def begin_session(ledger: Ledger, person: KnowledgePerson) -> str:
    """The token for the cookie."""
    token, now = secrets.token_urlsafe(32), time.time()
    with ledger.write() as connection:
        connection.execute("DELETE FROM sessions WHERE ends_at < ?", (now,))
        connection.execute("INSERT INTO sessions VALUES (?, ?, ?)", (_kept(token), person.id, now + HOURS * 3600))
    return token


def person_of(ledger: Ledger, token: str | None) -> KnowledgePerson:
    """
    Raises:
        AuthError: no session, one that has ended, or an account that is disabled or gone.
    """
    row = ledger.row(
        "SELECT p.id FROM sessions s JOIN people p ON p.id = s.person_id WHERE s.token = ? AND s.ends_at > ? AND NOT p.disabled",
        (_kept(token or ""), time.time()),
    )
    if row is None:
        raise AuthError(T("Sign in first.", "请先登录。"), code="not_signed_in")
    return People(ledger).get(row["id"])


def end_session(ledger: Ledger, token: str | None) -> None:
    with ledger.write() as connection:
        connection.execute("DELETE FROM sessions WHERE token = ?", (_kept(token or ""),))


def _count_try(ledger: Ledger, name: str, address: str) -> None:
    """Note a try, unless there were too many."""
    now = time.time()
    with ledger.write() as connection:
        connection.execute("DELETE FROM failures WHERE at < ?", (now - _WINDOW,))
        for who, most in ((f"name:{name.lower()}", _OF_A_NAME), (f"from:{address}", _FROM_AN_ADDRESS)):
            count, first = connection.execute("SELECT COUNT(*), MIN(at) FROM failures WHERE who = ?", (who,)).fetchone()
            if count >= most:
                wait = max(1, int(first + _WINDOW - now))
                raise BusyError(
                    T(f"Too many tries. Come back in {wait} seconds.", f"尝试次数过多，请在 {wait} 秒后再试。"),
                    code="too_many_tries", retry_after=wait,
                )  # fmt: skip
            connection.execute("INSERT INTO failures VALUES (?, ?)", (who, now))


def _kept(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
