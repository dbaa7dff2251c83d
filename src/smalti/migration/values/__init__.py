"""What one file of a source is as a value of a store, and whether what was read back is what the file holds."""
