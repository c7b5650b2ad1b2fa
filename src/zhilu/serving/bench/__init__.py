"""``zhilu bench serve``: how fast a served model answers under a stated load.

File map: ``load`` what is asked and when · ``measure`` asks and keeps the times · ``report`` figures, table, plots · ``cli`` the
command. Benchmarks can import ``measure.measure_load``.
"""

from __future__ import annotations
