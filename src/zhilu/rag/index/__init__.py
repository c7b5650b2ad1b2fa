"""Documents in: split, cut into words, embedded and published by the job ``ingest``."""
