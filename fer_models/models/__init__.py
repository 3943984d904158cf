"""The networks, their cards, preprocessing and weights, and the classifier that runs them."""
