"""Large parts that arrive after the workbench has started. Serving and asking do not need them; a job installs each.

File map: ``base`` what a part is, its state, the registry · ``torch_build`` which build of PyTorch fits this machine (standard
library only: ``scripts/install.py`` asks it before anything is installed) · ``require`` the one error of everything that needs
PyTorch · ``pytorch`` the part and its job · ``cli`` and ``routes`` the two ways in.
"""
