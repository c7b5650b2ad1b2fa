"""What the gates of stage 5 measure: single turns against what was expected (``calls``), whole tasks against the world (``tasks``)."""
