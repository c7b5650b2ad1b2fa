"""What a run does with its rows: one file per objective, all on the loop of ``zhilu.training``."""
