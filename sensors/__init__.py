"""What starts by itself: the arrival of raw files."""
