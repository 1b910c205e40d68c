"""Compare methods on features that are in the cache already, and keep the rows.

python examples/compare_methods.py [DATASET]
"""

from __future__ import annotations

import sys

import adapters
from adapters.report.over_shots import shots_table
from adapters.report.tables import markdown
from featcache import FeatureCache

entry = FeatureCache().find(sys.argv[1] if len(sys.argv) > 1 else None)
results = adapters.Results("runs/results.sqlite")
runs = []

for shots in (1, 4):
    for seed in (1, 2, 3):
        drawn = adapters.draw(entry, shots, seed)  # shared by every method
        for method in ("zero-shot", "tip-adapter", "tip-adapter-f"):
            experiment = adapters.Experiment(method, shots, seed)
            runs.append(results.add(adapters.run(entry, experiment, drawn).row))

rows = results.frame().set_index("run").loc[runs]  # others may be kept in the same file
print(markdown(*shots_table(rows)))
