"""A code assistant over a repository: symbols, questions answered with places in the code, edits as diffs, completions.

``index`` reads a repository · ``repos`` which there are · ``ask`` a question, checked against the code · ``job`` the reading as a
job. A repository is read where it lies; nothing is written to it but an edit that a person approved.
"""
