"""Data sets that need no files: one a file, named as in the table of data sets."""
