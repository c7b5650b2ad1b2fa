"""What arrives after the workbench is up: large parts that serving and asking do not need, each installed by a job.

File map: ``base`` what a part is, its state, the registry · ``torch_build`` which build of PyTorch fits this machine
(standard library only: ``scripts/install.py`` asks it before anything is installed) · ``require`` the one error of
whatever needs PyTorch · ``pytorch`` the part and its job · ``cli`` and ``routes`` the two doors.
"""
