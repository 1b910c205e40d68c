"""Many experiments: grids and searches become runs, workers do them, every row is kept."""
