"""The network that reconstructs a scan: its groups, its overlapping patches, its training."""
