"""Stage 0: look at the machine, say what is wrong with it and the command that mends it.

``check_up(subject)`` runs the probes of ``probes/`` at once; each asks a ``Machine`` and returns ``Finding``s.
``gates/`` holds the five gates of the roadmap's stage 0. Not here: installing anything; the doctor only looks.
"""

from zhilu.doctor.checkup import Checkup, check_up
from zhilu.doctor.finding import Finding, Severity
from zhilu.doctor.runner import Machine, SystemRunner
from zhilu.doctor.subject import Subject

__all__ = ["Checkup", "Finding", "Machine", "Severity", "Subject", "SystemRunner", "check_up"]
