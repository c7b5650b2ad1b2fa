"""When a dead engine is started again."""

from zhilu.serving.supervise.backoff import Backoff


def test_the_first_restart_is_at_once_and_later_ones_wait() -> None:
    backoff = Backoff()
    delays = [backoff.after(was_ready=True, ready_seconds=1.0) for _ in range(6)]
    assert delays == [0.0, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_a_healthy_life_wipes_the_slate() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.after(was_ready=True, ready_seconds=1.0)
    assert backoff.after(was_ready=True, ready_seconds=10.0) == 0.0


def test_what_never_becomes_ready_is_given_up() -> None:
    backoff = Backoff()
    assert [backoff.after(was_ready=False, ready_seconds=0.0) for _ in range(3)] == [0.0, 0.5, None]


def test_one_success_keeps_it_from_being_given_up() -> None:
    backoff = Backoff()
    results = [backoff.after(was_ready=number == 2, ready_seconds=0.0) for number in range(5)]
    assert None not in results[:4]
    assert results[4] is not None
    assert backoff.after(was_ready=False, ready_seconds=0.0) is None
