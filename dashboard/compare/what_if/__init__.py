"""The what-if bench of the Compare tab: the models on one face while it gets worse."""
