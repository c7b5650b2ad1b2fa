from __future__ import annotations

from collections.abc import Iterator

import pytest

from zhilu.apps.chat.store import ConversationStore, branch
from zhilu.context import open_context
from zhilu.errors import InputError, NotFoundError


@pytest.fixture
def store() -> Iterator[ConversationStore]:
    context = open_context()
    yield ConversationStore(context)
    context.close()


def test_an_edit_and_a_regeneration_are_branches_and_nothing_is_lost(store: ConversationStore) -> None:
    chat = store.create()
    user, first = store.begin_turn(chat.id, None, "Who wrote it?", "m")
    assert user is not None and first.status == "streaming"
    store.save_answer(first.id, content="Lu Xun", status="complete")
    none, again = store.begin_turn(chat.id, user.id, None, "m")
    assert none is None and again.parent_id == user.id
    edited, answer = store.begin_turn(chat.id, None, "Who read it?", "m")
    assert edited is not None and edited.parent_id is None
    whole = store.get(chat.id)
    assert len(whole.messages) == 5 and whole.head_id == answer.id
    assert [m.content for m in branch(whole.messages, first.id)] == ["Who wrote it?", "Lu Xun"]
    assert [m.id for m in branch(whole.messages, answer.id)] == [edited.id, answer.id]
    assert whole.title == "Who wrote it?"


def test_what_cannot_be_answered_is_refused(store: ConversationStore) -> None:
    chat = store.create()
    user, answer = store.begin_turn(chat.id, None, "hi", "m")
    assert user is not None
    for parent, content in [(None, "  "), (answer.id, None), (user.id, "two in a row"), (None, None)]:
        with pytest.raises(InputError):
            store.begin_turn(chat.id, parent, content, "m")
    with pytest.raises(NotFoundError):
        store.begin_turn(chat.id, "nowhere", "hi", "m")
    with pytest.raises(NotFoundError):
        store.change(chat.id, {"head_id": "nowhere"})
    assert len(store.get(chat.id).messages) == 2


def test_messages_of_another_conversation_are_not_reachable(store: ConversationStore) -> None:
    one, two = store.create(), store.create()
    user, _ = store.begin_turn(one.id, None, "hi", "m")
    assert user is not None
    with pytest.raises(NotFoundError):
        store.begin_turn(two.id, user.id, None, "m")


def test_interrupted_answers_are_closed_at_start_and_keep_their_text(store: ConversationStore) -> None:
    chat = store.create()
    _, answer = store.begin_turn(chat.id, None, "hi", "m")
    store.save_answer(answer.id, content="so far")
    assert store.close_interrupted() == 1
    assert store.close_interrupted() == 0
    kept = store.get(chat.id).messages[-1]
    assert (kept.status, kept.content) == ("stopped", "so far")


def test_list_is_newest_first_and_deleting_takes_the_messages(store: ConversationStore) -> None:
    old, new = store.create(title=" old "), store.create(title="new")
    store.begin_turn(old.id, None, "hi", "m")
    assert [c.title for c in store.list()] == ["old", "new"]
    store.delete(old.id)
    assert [c.id for c in store.list()] == [new.id]
    with pytest.raises(NotFoundError):
        store.get(old.id)


def test_a_long_first_message_makes_a_short_title(store: ConversationStore) -> None:
    chat = store.create()
    store.begin_turn(chat.id, None, "为什么\n" * 40, "m")
    title = store.get(chat.id).title
    assert len(title) <= 40 and title.endswith("…") and "\n" not in title
