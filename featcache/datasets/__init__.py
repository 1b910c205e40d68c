"""What is encoded: named data sets, one's own folders, and sets that are made."""
