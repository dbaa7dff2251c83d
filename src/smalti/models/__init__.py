"""Neural networks in MLX; each module is named after the ``model_type`` in its checkpoints."""
