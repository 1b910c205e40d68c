"""The file formats of feature files: one a file, found by their suffixes."""
