"""The recipe of zhilu-nano, the model that ships inside the package.

``tokenizer`` text to ids · ``data`` reading, cleaning, splitting · ``tasks`` supervised rows in the product's own prompt formats ·
``train`` the loop · ``export`` the Hugging Face folder · ``evaluate`` and ``skills`` the scores. The network is
``zhilu.training.model``. LOG.md says what was tried.

    python -m zhilu.training.nano.train --preset cpu --data DIR --out DIR

Importing this package imports no torch.
"""
