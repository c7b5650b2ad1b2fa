"""Agents: a model that uses tools until a task is done, with a person's approval for what it changes.

File map: ``loop`` the algorithm, which does nothing itself · ``drive`` does what it asks for; ``run_agent`` is what an application
calls · ``ask`` a model's turn, plain or with help · ``choose`` which of many tools are shown · ``journal`` what outlives a kill -9 ·
``runs`` and ``job`` a run as a job · ``cli`` and ``routes`` the two ways in · ``gates`` and ``proofs`` what is measured · ``sources``
kinds of tools, one file each · ``sandbox`` where code runs. The seam for tools is ``zhilu.tools``.
"""
