"""Keeping engines alive: checks before a start, the process, its port, its restarts, and the record of what runs."""
