"""RO-Crates of values and runs: written, checked, and brought back by digest."""
