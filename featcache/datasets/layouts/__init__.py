"""How pictures lie on disk: one reader a file, named as in the table of data sets."""
