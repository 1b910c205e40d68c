"""Problems: many small tasks of two classes, read from an entry and solved."""
