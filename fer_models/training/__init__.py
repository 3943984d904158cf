"""Data, objectives, training and evaluation. Nothing outside imports it but the commands."""
