"""Videos: read, analysed frame by frame, written with what the models say."""
