"""Batches and streams of samples for training, and the memory that they take."""
