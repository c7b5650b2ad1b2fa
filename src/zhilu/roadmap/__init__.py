"""The roadmap as data and as proof: seven stages, their tasks, the gates that other folders register, the evidence.

File map: ``stages/`` the roadmap itself · ``task`` what a stage and a task are · ``running`` finds and runs gates ·
``evidence`` the files they leave · ``state`` where a person is · ``report`` the transcript · ``job`` gates as a job for the
workbench · ``cli``, ``routes``. There is no gate here: a gate belongs to the folder whose capability it proves.
"""

from zhilu.roadmap.evidence import Evidence, EvidenceStore
from zhilu.roadmap.running import find_gates, resolve_tasks, run_gate, run_gates
from zhilu.roadmap.stages import STAGES, TASKS
from zhilu.roadmap.state import roadmap_state
from zhilu.roadmap.task import Stage, Task

__all__ = [
    "STAGES",
    "TASKS",
    "Evidence",
    "EvidenceStore",
    "Stage",
    "Task",
    "find_gates",
    "resolve_tasks",
    "roadmap_state",
    "run_gate",
    "run_gates",
]
