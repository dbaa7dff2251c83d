"""A neural network trained on the patterns of one scan, and the object stitched from its patches."""
