"""Stage 0: examine the machine, say what is wrong with it and which command fixes it.

``check_up(subject)`` runs all probes of ``probes/`` at once; each asks a ``Machine`` and returns ``Finding``s. ``gates/``
holds the five gates of stage 0. The doctor only looks; it installs nothing.
"""

from zhilu.doctor.checkup import Checkup, check_up
from zhilu.doctor.finding import Finding, Severity
from zhilu.doctor.runner import Machine, SystemRunner
from zhilu.doctor.subject import Subject

__all__ = ["Checkup", "Finding", "Machine", "Severity", "Subject", "SystemRunner", "check_up"]
