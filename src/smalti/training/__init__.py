"""Training settings, and the training loop, whose runs can be resumed to the same bits; only the loop imports MLX."""

from smalti.training.settings import TrainingSettings

__all__ = ["TrainingSettings"]
