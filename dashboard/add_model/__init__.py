"""The page that adds another system's model: a file, its card, a try on an example, and both in the weights folder."""
