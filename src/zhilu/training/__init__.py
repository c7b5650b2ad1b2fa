"""Training in plain PyTorch: optimizers, workers, and the recipes of the two models we ship (``nano/``, ``embed/``).

Tuning and the lessons build on it. Importing this package imports no torch.
"""
