"""Videos: analysed frame by frame, and written with the models' predictions."""
