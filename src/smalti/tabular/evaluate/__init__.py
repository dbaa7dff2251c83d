"""How good predictions of a table are: metrics, an evaluation of validation rows, and the baselines beside it."""
