"""Passages out: follow-ups are made to stand alone, and two ranked lists become one."""
