"""Tasks of thousands of small problems: what one is, and how all are solved."""
