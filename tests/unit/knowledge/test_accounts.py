"""Accounts: passwords, few tries, sessions, the last admin, groups; and the audit log, which only grows."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable

import pytest

from zhilu.apps.knowledge.accounts import sign_in as signing
from zhilu.apps.knowledge.accounts.passwords import hashed, matches
from zhilu.apps.knowledge.accounts.people import KnowledgePerson, People, covers
from zhilu.apps.knowledge.accounts.sign_in import begin_session, end_session, person_of, sign_in
from zhilu.apps.knowledge.audit import entries, export, first_broken, record
from zhilu.apps.knowledge.store import Ledger
from zhilu.errors import AuthError, BusyError, ConflictError, InputError, NotFoundError, ZhiluError
from zhilu.rag.answer import Leave

from .conftest import PASSWORD

Person = Callable[..., KnowledgePerson]


def test_a_password_is_kept_as_scrypt_with_a_salt() -> None:
    one, two = hashed("correct horse 7"), hashed("correct horse 7")
    assert one != two and one.startswith("scrypt$32768$8$3$") and "horse" not in one
    assert matches("correct horse 7", one) and not matches("correct horse 8", one) and not matches("x", None)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaa", "x" * 2000, "ann.of.green"])
def test_weak_passwords_are_refused(people: People, password: str) -> None:
    with pytest.raises(InputError):
        people.add("ann.of.green", password, who="test")


def test_a_session_lives_and_ends(
    ledger: Ledger, people: People, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    person("ann", "hr")
    ann = sign_in(ledger, "ANN", PASSWORD, "10.0.0.1")  # names have no case
    token = begin_session(ledger, ann)
    assert person_of(ledger, token).name == "ann"
    assert token not in str([dict(r) for r in ledger.rows("SELECT * FROM sessions")])
    for wrong in (None, "", token[:-1], token + "x"):
        with pytest.raises(AuthError):
            person_of(ledger, wrong)
    end_session(ledger, token)
    with pytest.raises(AuthError):
        person_of(ledger, token)
    later = begin_session(ledger, ann)
    monkeypatch.setattr(signing, "time", type("Clock", (), {"time": staticmethod(lambda: time.time() + 13 * 3600)}))
    with pytest.raises(AuthError):
        person_of(ledger, later)


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": "another horse 8"}])
def test_a_change_ends_sessions(ledger: Ledger, people: People, person: Person, change: dict[str, object]) -> None:
    ann = person("ann", "hr")
    token = begin_session(ledger, ann)
    people.change("ann", who="test", **change)  # type: ignore[arg-type]
    with pytest.raises(AuthError):
        person_of(ledger, token)


def test_few_tries(ledger: Ledger, people: People, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    person("ann", "hr")
    for n in range(5):
        with pytest.raises(AuthError):
            sign_in(ledger, "ann", f"wrong {n}", "10.0.0.1")
    with pytest.raises(BusyError) as caught:
        sign_in(ledger, "ann", PASSWORD, "10.0.0.2")  # the right one, too, and from elsewhere
    assert 0 < caught.value.retry_after <= 900
    monkeypatch.setattr(signing, "time", type("Clock", (), {"time": staticmethod(lambda: time.time() + 901)}))
    assert sign_in(ledger, "ann", PASSWORD, "10.0.0.2").name == "ann"


def test_few_tries_from_one_address_over_many_names(ledger: Ledger, people: People) -> None:
    for n in range(30):
        with pytest.raises(AuthError):
            sign_in(ledger, f"nobody{n}", "guess guess", "10.0.0.9")
    with pytest.raises(BusyError):
        sign_in(ledger, "someone", "guess guess", "10.0.0.9")


def test_tries_at_the_same_time_count(ledger: Ledger, people: People, person: Person) -> None:
    person("ann", "hr")
    kinds: list[type[ZhiluError]] = []

    def attempt(n: int) -> None:
        try:
            sign_in(ledger, "ann", f"wrong {n}", f"10.0.1.{n}")
        except ZhiluError as error:
            kinds.append(type(error))

    threads = [threading.Thread(target=attempt, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (kinds.count(AuthError), kinds.count(BusyError)) == (5, 11)


def test_who_is_unknown_is_not_told_apart(ledger: Ledger, people: People, person: Person) -> None:
    person("ann", "hr")
    said = []
    for name in ("ann", "nobody"):
        with pytest.raises(AuthError) as caught:
            sign_in(ledger, name, "wrong wrong", "10.0.0.1")
        said.append((str(caught.value), caught.value.code))
    assert said[0] == said[1]


def test_one_admin_stays(people: People, person: Person) -> None:
    person("root", role="admin")
    for act in (
        lambda: people.change("root", who="t", role="reader"),
        lambda: people.change("root", who="t", disabled=True),
        lambda: people.remove("root", who="t"),
    ):
        with pytest.raises(ConflictError):
            act()
    assert people.get("root").role == "admin" and not people.get("root").disabled
    person("second", role="admin")
    people.remove("root", who="t")


def test_names_are_one_persons(people: People, person: Person) -> None:
    person("ann", "hr")
    for name in ("ann", "ANN"):
        with pytest.raises(ConflictError):
            people.add(name, PASSWORD, who="t")
    for name in ("", "a b", "x" * 65, "a/b", "<b>"):
        with pytest.raises(InputError):
            people.add(name, PASSWORD, who="t")
    with pytest.raises(NotFoundError):
        people.change("ann", groups=["no such"], who="t")
    assert people.get("ann").groups == ["hr"]


def test_the_first_account_is_made_once(people: People) -> None:
    people.add("root", PASSWORD, "admin", who="", only_first=True)
    with pytest.raises(ConflictError):
        people.add("eve", PASSWORD, "admin", who="", only_first=True)


def test_a_provider_s_person_is_never_a_local_one(people: People, person: Person) -> None:
    local = person("ann", "hr", role="admin")
    theirs = people.known_by("https://id.example", "s1", "ann", "Ann", ["hr", "no such group"])
    assert theirs.id != local.id and theirs.name != "ann" and theirs.role == "reader" and theirs.groups == ["hr"]
    again = people.known_by("https://id.example", "s1", "renamed", "Ann", [])
    assert again.id == theirs.id and again.groups == []
    other = people.known_by("https://other.example", "s1", "bob", "Bob", None)
    assert other.id != theirs.id
    with pytest.raises(InputError):
        people.change(theirs.name, password="another horse 8", who="t")


def test_covers() -> None:
    a, b = Leave("a"), Leave("b")
    assert covers([a, b], [a]) and not covers([a], [a, b]) and covers([a], []) and covers([a], [Leave("a", ("x",))])
    assert covers([Leave("a", ("x",))], [Leave("a", ("x/y",))])
    assert not covers([Leave("a", ("x/y",))], [Leave("a", ("x",))])
    assert not covers([Leave("a", ("x",))], [Leave("a", ("xy",))]) and not covers([Leave("a", ("x",))], [a])


def test_the_audit_log_only_grows(ledger: Ledger, people: People, person: Person) -> None:
    person("ann", "hr")
    record(ledger, "ann", "ask", "q1", question="什么时候？")
    assert [e.did for e in entries(ledger, limit=2)] == ["ask", "user.groups"]
    assert len(list(export(ledger))) == len(entries(ledger)) and first_broken(ledger) is None
    with sqlite3.connect(ledger.path) as connection:
        for sql in ("UPDATE audit SET who = 'eve'", "DELETE FROM audit WHERE id = 1", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError):
                connection.execute(sql)
        connection.execute("DROP TRIGGER audit_stays")
        connection.execute("DROP TRIGGER audit_keeps")
        connection.execute("UPDATE audit SET who = 'eve' WHERE id = 2")
    connection.close()
    assert first_broken(ledger) == 2
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("DELETE FROM audit WHERE id = 2")
    connection.close()
    assert first_broken(ledger) == 3


def test_no_password_in_the_audit_log(ledger: Ledger, people: People, person: Person) -> None:
    person("ann", "hr")
    people.change("ann", password="another horse 8", who="root")
    told = "".join(export(ledger))
    assert "horse" not in told and "scrypt" not in told
