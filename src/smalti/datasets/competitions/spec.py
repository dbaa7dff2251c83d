"""The shape of a competition's data, and what it suggests for loading and training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from smalti.datasets.competitions.metadata import CompetitionType, competition_type_of
from smalti.errors import Refused

_MANY_SAMPLES, _FEW_SAMPLES = 100_000, 5_000
_CLASSES = {CompetitionType.BINARY_CLASSIFICATION: 2, CompetitionType.REGRESSION: 1}
_BALANCED_RATIO = 0.5  # the smallest class has at least this part of the largest one's samples


@dataclass(frozen=True)
class DatasetSpec:
    """What a dataset holds and how it is best loaded.

    What is left at None is derived where it can be: ``num_classes`` is 2 for binary classification and 1 for
    regression; ``prefetch_size`` is 8 above 100,000 samples, 2 below 5,000 and 4 between; ``is_balanced`` follows from
    ``class_distribution``. ``recommended_batch_size`` is at most 64 above 100,000 samples and at least 16 below 5,000;
    a warning says when that changes a number that was given, or when ``num_classes`` does not go with the type.

    Attributes:
        competition_name: e.g. ``titanic``.
        dataset_path: the folder of its files.
        competition_type: what is to be predicted; its text will do.
        num_samples, num_features: rows of the train file, and columns without id and target.
        target_column: the column to predict, in the train file only.
        text_columns, categorical_columns, numerical_columns: the other columns by what they hold.
        num_classes: outputs of a model's head.
        class_distribution: samples by class.
        is_balanced: whether the smallest class has at least half as many samples as the largest; None is unknown.
        recommended_batch_size: samples in a batch.
        recommended_max_length: tokens in a sample.
        use_attention_mask: whether a model needs it.
        enable_caching: keep the trained tokenizer in the dataset's ``cache_dir``.
        use_unified_memory, prefetch_size, num_workers: for the loader; ``prefetch_size`` counts batches.
        text_template: name of the template that turns a row into text.
        tokenizer_backend: ``wordpiece``, trained on the texts of the train split, or the path of a ``tokenizer.json``.

    Raises:
        Refused: the type is none of the ten, or a count is impossible.
    """

    competition_name: str
    dataset_path: Path
    competition_type: CompetitionType
    num_samples: int
    num_features: int
    target_column: str | None = None
    text_columns: tuple[str, ...] = ()
    categorical_columns: tuple[str, ...] = ()
    numerical_columns: tuple[str, ...] = ()
    num_classes: int | None = None
    class_distribution: Mapping[str, int] | None = None
    is_balanced: bool | None = None
    recommended_batch_size: int = 32
    recommended_max_length: int = 512
    use_attention_mask: bool = True
    enable_caching: bool = True
    use_unified_memory: bool = True
    prefetch_size: int | None = None
    num_workers: int = 4
    text_template: str | None = None
    tokenizer_backend: str = "wordpiece"

    def __post_init__(self) -> None:
        self._set(
            dataset_path=Path(self.dataset_path),
            competition_type=competition_type_of(self.competition_type),
            text_columns=tuple(self.text_columns),
            categorical_columns=tuple(self.categorical_columns),
            numerical_columns=tuple(self.numerical_columns),
        )
        self._check()
        self._derive_classes()
        self._derive_loading()

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check(self) -> None:
        least = {"num_samples": 0, "num_features": 0, "num_workers": 0, "recommended_batch_size": 1}
        least |= {"recommended_max_length": 2, "num_classes": 1, "prefetch_size": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise Refused(f"{name} of {self.competition_name} is {value}; give {smallest} or more.")

    def _derive_classes(self) -> None:
        usual = _CLASSES.get(self.competition_type)
        if self.num_classes is None:
            self._set(num_classes=usual)
        elif usual is not None and self.num_classes != usual:
            kind = self.competition_type.value.replace("_", " ")
            self._warn(f"num_classes is {self.num_classes}, where {kind} has {usual}")
        if self.is_balanced is None and self.class_distribution:
            counts = self.class_distribution.values()
            self._set(is_balanced=min(counts) >= _BALANCED_RATIO * max(counts))

    def _derive_loading(self) -> None:
        batch, prefetch = self.recommended_batch_size, 4
        if self.num_samples > _MANY_SAMPLES:
            batch, prefetch = min(batch, 64), 8
        elif self.num_samples < _FEW_SAMPLES:
            batch, prefetch = max(batch, 16), 2
        if batch != self.recommended_batch_size:
            given = self.recommended_batch_size
            self._warn(f"recommended_batch_size {given} becomes {batch} because of its {self.num_samples} samples")
        self._set(
            recommended_batch_size=batch,
            prefetch_size=prefetch if self.prefetch_size is None else self.prefetch_size,
        )

    def _warn(self, what: str) -> None:
        warnings.warn(f"{self.competition_name}: {what}.", stacklevel=5)
