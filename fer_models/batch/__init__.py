"""Many pictures into one table."""
