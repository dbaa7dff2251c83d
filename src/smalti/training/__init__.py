"""Training settings, and the training loop, whose runs can be resumed to the same bits.

Only the settings are imported here: ``loop`` and ``environment`` import MLX.
"""

from smalti.training.settings import TrainingSettings

__all__ = ["TrainingSettings"]
