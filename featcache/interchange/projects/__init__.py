"""The feature files of other projects: one file a project, found by its name."""
