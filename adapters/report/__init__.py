"""Tables and pictures of results."""

from adapters.report.over_shots import cells, over_shots, shots_table
from adapters.report.tables import latex, markdown

__all__ = ["cells", "latex", "markdown", "over_shots", "shots_table"]
