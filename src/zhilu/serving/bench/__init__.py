"""``zhilu bench serve``: what a served model takes, under a load that is said.

File map: ``load`` what is asked and when · ``measure`` asks and keeps the times · ``report`` figures, table, plots ·
``cli`` the command. Importable by benchmarks: ``measure.measure_load``.
"""

from __future__ import annotations
