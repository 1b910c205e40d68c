"""Few-shot classification: fit on K pictures of every class, score the test split.

The one target is the data set's own test split, among all classes (Zhou et al. 2022, CoOp).
"""

from __future__ import annotations

from adapters.drawing import draw
from adapters.task import Task

task = Task(draw=draw)
