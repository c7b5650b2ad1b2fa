"""The real runner never raises and never outlasts its timeout; the remembering one asks once; a check-up is bounded."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Sequence

from machines import HEALTHY, SUBJECT

from zhilu.doctor import Finding, Severity, check_up
from zhilu.doctor.probes import Probe
from zhilu.doctor.runner import ABSENT, TIMED_OUT, Completed, Machine, Remembering, SystemRunner
from zhilu.doctor.subject import Subject
from zhilu.messages import T


def test_a_command_answers_with_status_and_both_streams() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    assert SystemRunner().run([sys.executable, "-c", code]) == Completed(3, "out\n", "err\n")


def test_a_missing_command_is_absent_and_a_slow_one_is_cut_off() -> None:
    assert SystemRunner().run(["zhilu-no-such-command"]).code == ABSENT
    began = time.monotonic()
    assert SystemRunner().run([sys.executable, "-c", "import time; time.sleep(200)"], timeout=0.2).code == TIMED_OUT
    assert time.monotonic() - began < 100


def test_windows_programs_answer_in_utf_16_and_are_read() -> None:
    code = "import sys; sys.stdout.buffer.write('Ubuntu 2'.encode('utf-16-le'))"
    assert SystemRunner().run([sys.executable, "-c", code]).out == "Ubuntu 2"


def test_what_cannot_be_read_or_reached_is_an_answer_too() -> None:
    runner = SystemRunner()
    assert runner.read("/no/such/file") is None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert runner.connect("127.0.0.1", port) is None
    assert "refused" in (runner.connect("127.0.0.1", port) or "").lower()
    reply = runner.fetch(f"http://127.0.0.1:{port}/")
    assert (reply.status, reply.kind) == (None, "refused")


def test_a_proxy_that_httpx_cannot_use_is_reported_as_one(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("http_proxy", "sock5://127.0.0.1:1080")
    assert SystemRunner().fetch("http://zhilu.example/").kind == "proxy"


class Counting:
    """Counts what reaches the machine."""

    def __init__(self) -> None:
        self.runs = 0
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> object:
        return getattr(HEALTHY, name)

    def run(self, argv: Sequence[str], *, timeout: float = 3.0) -> Completed:
        with self.lock:
            self.runs += 1
        time.sleep(0.02)
        return Completed(0, "x")


def test_a_question_asked_by_many_at_once_reaches_the_machine_once() -> None:
    counting = Counting()
    remembering = Remembering(counting)  # type: ignore[arg-type]
    threads = [threading.Thread(target=remembering.run, args=(["nvidia-smi"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting.runs == 1
    remembering.run(["nvidia-smi", "-L"])
    assert counting.runs == 2


def hangs(runner: Machine, subject: Subject) -> list[Finding]:
    threading.Event().wait(60)
    return []


def breaks(runner: Machine, subject: Subject) -> list[Finding]:
    raise KeyError("unexpected")


def test_a_probe_that_hangs_or_breaks_hides_no_other() -> None:
    title = T("Probe", "检查")
    good = Finding("good.ok", Severity.OK, title, title)
    probes = [Probe("slow", title, hangs), Probe("odd", title, breaks), Probe("good", title, lambda *_: [good])]
    began = time.monotonic()
    checkup = check_up(SUBJECT, HEALTHY, probes=probes, deadline=0.3)
    assert time.monotonic() - began < 30  # it did not wait for the one that hangs
    assert [f.id for f in checkup.findings] == ["odd.surprised", "slow.unanswered", "good.ok"]


def test_findings_come_most_serious_first() -> None:
    runner = HEALTHY.but(env={"https_proxy": "127.0.0.1:1"}, commands={"node --version": "v12.0.0"})
    severities = [finding.severity for finding in check_up(SUBJECT, runner).findings]
    assert severities == sorted(severities, reverse=True)
    assert severities[0] is Severity.ERROR


def test_this_machine_is_examined() -> None:
    checkup = check_up(Subject(offline=True))
    assert not [f.id for f in checkup.findings if f.id.endswith(".surprised")]
    assert checkup.machine["cores"] >= 1
