"""Benchmark sets of the papers, as published: one file a set, with the paper's split and windows (docs/specification.md,
section 11).

A set is a config that lists its clips; `clips` turns them into windows. Adding a set is one file and one entry in
`framecast.data.datasets.Data`.
"""

from framecast.data.sets.bair import BAIR
from framecast.data.sets.human36m import Human36M
from framecast.data.sets.kth import KTH
from framecast.data.sets.robonet import RoboNet
from framecast.data.sets.sevir import SEVIR
from framecast.data.sets.taxibj import TaxiBJ

__all__ = ["BAIR", "KTH", "SEVIR", "Human36M", "RoboNet", "TaxiBJ"]
