"""Passages out: follow-ups made to stand alone, two ranked lists made one."""
