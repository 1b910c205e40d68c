"""Where fits run."""
