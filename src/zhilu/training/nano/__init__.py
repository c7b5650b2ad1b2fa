"""zhilu-nano, the model that ships inside the package: weights, and the recipe that made them.

``tokenizer`` text to ids · ``data`` reading, cleaning, splitting · ``tasks`` supervised rows in the product's own prompt formats ·
``model`` the network · ``train`` the loop · ``export`` the Hugging Face folder · ``evaluate`` the scores. LOG.md says what was tried.

    python -m zhilu.training.nano.train --preset cpu --data DIR --out DIR

Importing this package imports no torch.
"""
