"""A labelled batch: the models against its labels, and the labels that are likely wrong."""
