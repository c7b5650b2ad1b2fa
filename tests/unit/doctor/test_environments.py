"""Every broken machine is diagnosed, and mended with a command; a healthy one is left alone."""

from __future__ import annotations

import pytest
from broken_gpus import BROKEN_GPUS
from broken_systems import BROKEN_SYSTEMS
from broken_tools import BROKEN_TOOLS
from machines import HEALTHY, SUBJECT, Environment

from zhilu.doctor import Severity, Subject, check_up
from zhilu.doctor.probes import PROBES

ENVIRONMENTS = [*BROKEN_SYSTEMS, *BROKEN_GPUS, *BROKEN_TOOLS]
# Said of the healthy machine as well: it has no GPU and no vLLM, and that is no fault.
ALWAYS = {"gpu.none", "vllm.absent"}


def test_nothing_is_wrong_with_a_healthy_machine() -> None:
    found = {f.id: f.severity for f in check_up(SUBJECT, HEALTHY).findings if f.severity is not Severity.OK}
    assert found == {"gpu.none": Severity.INFO, "vllm.absent": Severity.INFO}


def test_a_healthy_machine_gets_one_finding_of_every_probe() -> None:
    assert len(check_up(SUBJECT, HEALTHY).findings) == len(PROBES)


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_a_broken_machine_is_diagnosed(environment: Environment) -> None:
    findings = check_up(environment.subject, environment.runner).findings
    found = [f for f in findings if f.id == environment.finding]
    assert len(found) == 1, [f.id for f in findings if f.severity is not Severity.OK]
    assert found[0].severity is environment.severity
    if environment.fix is None:
        assert found[0].fix == ()
    else:
        assert any(environment.fix in command for command in found[0].fix), found[0].fix
    said = " ".join((found[0].what.en, found[0].why.en if found[0].why else ""))
    assert environment.says in said


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_only_what_is_broken_is_reported(environment: Environment) -> None:
    findings = check_up(environment.subject, environment.runner).findings
    expected = {environment.finding, *environment.others, *ALWAYS}
    assert {f.id for f in findings if f.severity is not Severity.OK} <= expected


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda e: e.name)
def test_everything_said_is_said_in_both_languages(environment: Environment) -> None:
    for finding in check_up(environment.subject, environment.runner).findings:
        for text in (finding.title, finding.what, finding.why):
            assert text is None or (text.en and text.zh)
        if finding.why:
            assert finding.why.en != finding.why.zh and not finding.why.zh.isascii()


def test_there_are_many_environments_and_each_severity_among_them() -> None:
    assert len(ENVIRONMENTS) >= 25
    assert len({e.name for e in ENVIRONMENTS}) == len(ENVIRONMENTS)
    assert {e.severity for e in ENVIRONMENTS} == {Severity.INFO, Severity.WARNING, Severity.ERROR}


def test_offline_asks_nothing_beyond_the_machine() -> None:
    class Loopback:
        """Fails the test when a probe reaches out."""

        env = HEALTHY.env
        run = staticmethod(HEALTHY.run)
        read = staticmethod(HEALTHY.read)
        which = staticmethod(HEALTHY.which)

        def connect(self, host: str, port: int, *, timeout: float = 1.0) -> str | None:
            assert host == "127.0.0.1"
            return "refused"

        def fetch(self, url: str, *, timeout: float = 3.0) -> None:
            raise AssertionError(f"offline, and {url} was asked")

    subject = Subject(SUBJECT.python, SUBJECT.home, SUBJECT.project, offline=True)
    findings = check_up(subject, Loopback()).findings  # type: ignore[arg-type]
    assert not [f.id for f in findings if f.id.endswith(".surprised")]
    assert "hubs.offline" in {f.id for f in findings}
