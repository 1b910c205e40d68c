"""Kinds of things that people have beside class folders: one reader a kind."""
