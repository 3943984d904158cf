"""You against the models: faces of a batch labelled blind."""
