"""Long work in processes of its own: state and events in the database, progress, cancel, retry, resume.

File map: ``base`` what a job, a kind and an event are · ``store`` submit, look, cancel, wait · ``dispatch`` who starts
what, and what happens to the dead · ``worker`` the process that runs one job · ``process`` pids that cannot be mistaken
· ``follow`` the terminal's progress bar · ``cli`` and ``routes`` the two doors · ``testing`` a real tiny kind.

Jobs run on the machine that submits them: process numbers in the database are this machine's.
"""

from zhilu.jobs.base import ENDED, Job, JobContext, JobEvent, JobKind, kind_of
from zhilu.jobs.store import JobStore

__all__ = ["ENDED", "Job", "JobContext", "JobEvent", "JobKind", "JobStore", "kind_of"]
