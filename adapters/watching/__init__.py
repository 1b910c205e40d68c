"""Fits watched while they go on."""
