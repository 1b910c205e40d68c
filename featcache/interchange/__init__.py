"""Feature files of other projects, in and out."""
