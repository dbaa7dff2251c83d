"""Bringing in what other tools stored: MLtrack's first layout, datamate trees, MLflow's artifacts."""
