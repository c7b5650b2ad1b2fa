"""Long work in processes of its own: state and events in the database, progress, cancel, retry, resume.

File map: ``base`` what a job, a kind and an event are · ``store`` submit, read, cancel, wait · ``dispatch`` starts jobs and
deals with dead workers · ``worker`` the process that runs one job · ``process`` starting and ending workers · ``command`` a
command inside a job · ``tether`` ends a command when we die · ``follow`` the terminal's progress bar · ``cli`` and ``routes``
the two ways in · ``testing`` a small real kind.

Jobs run on the machine that submits them: the process numbers in the database are this machine's.
"""

from zhilu.jobs.base import ENDED, Job, JobContext, JobEvent, JobKind, kind_of
from zhilu.jobs.store import JobStore

__all__ = ["ENDED", "Job", "JobContext", "JobEvent", "JobKind", "JobStore", "kind_of"]
