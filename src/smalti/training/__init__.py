"""Training that a killed process resumes to the same bits; the loop itself runs in a child process."""

from smalti.training.settings import TrainingSettings

__all__ = ["TrainingSettings"]
