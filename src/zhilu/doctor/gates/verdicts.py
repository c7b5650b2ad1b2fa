"""From a finding of the doctor to a verdict of a gate."""

from __future__ import annotations

from zhilu.doctor.finding import Finding
from zhilu.gate import Figure, Verdict
from zhilu.messages import T

__all__ = ["failed_by", "first_of"]


def failed_by(finding: Finding, *figures: Figure) -> Verdict:
    """``failed``, with what the probe found, why it matters and its commands in one line."""
    why = finding.why or T("", "")
    return Verdict.failed(
        T(f"{finding.what.en} {why.en}".strip(), f"{finding.what.zh}{why.zh}"), *figures, fix=commands(finding)
    )


def commands(finding: Finding) -> str | None:
    return " && ".join(finding.fix) or None


def first_of(findings: list[Finding], *ids: str) -> Finding | None:
    """The first finding whose id is one of ``ids``."""
    return next((finding for finding in findings if finding.id in ids), None)
