"""Labelled faces from public layouts and from folders."""
