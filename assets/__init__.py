"""What exists, in the order it comes to be: raw, scans, splits, checkpoints, reconstructions, products, checks."""
