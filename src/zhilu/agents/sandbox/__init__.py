"""Where code of a model runs: no network, nothing of this machine but what reading a program needs, limits, a scratch folder.

``box`` runs a command in it, ``limits`` what a command may use, ``wall`` the walls themselves (bubblewrap).
"""

from zhilu.agents.sandbox.box import Ran, Sandbox
from zhilu.agents.sandbox.limits import Limits

__all__ = ["Limits", "Ran", "Sandbox"]
