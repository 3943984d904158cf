"""Measurements on labelled faces, and the records they are kept in."""
