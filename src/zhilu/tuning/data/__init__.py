"""Training data: read from a file, put into one shape, checked, and shown as the model will see it.

``source`` reads rows with their line numbers, ``formats`` turns a row of any common dataset format into an ``Example``,
``check`` finds what is wrong, and ``preflight`` renders examples through the model's own chat template and marks the tokens
that carry loss. Nothing here needs PyTorch.
"""
