"""A competition whose rows become sentences: its CSV files, its columns, one text and one label for each row."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from smalti.contracts.violation import shown
from smalti.datasets.competitions.dataset import KaggleDataset, Sample
from smalti.datasets.competitions.files import split_file, table_in
from smalti.datasets.competitions.metadata import CompetitionType
from smalti.errors import Refused

if TYPE_CHECKING:
    import pandas as pd

_NUMBERS = (CompetitionType.REGRESSION,)


class TabularDataset(KaggleDataset):
    """One split of a competition as texts with labels; a subclass names the columns.

    The files are ``<split>.csv`` or ``<name>_<split>.csv`` in ``spec.dataset_path``. A sample has ``text``;
    ``input_ids`` and ``attention_mask``, both (``spec.recommended_max_length``,) int32; ``metadata`` with the ``id``;
    and where the split has the target ``labels``: int32 () for classes, float32 (1,) for regression. The texts are
    those of the template ``spec.text_template``, by default the dataset's own, which tells neither id nor target.

    Attributes:
        competition: its name.
        columns: those that every split must have.
        target: the column to predict, which the test split does not have.
        template: the name of its template in ``smalti.templates``.
    """

    competition: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    target: ClassVar[str]
    template: ClassVar[str]
    id_column: str

    def _load_data(self) -> None:
        self._data = table_in(split_file(self.spec.dataset_path, self.competition, self.split)).to_pandas()

    def _validate_data(self) -> None:
        frame = self._frame
        wanted = self.columns if self.split == "test" else (*self.columns, self.target)
        where = f"the {self.split} split of {self.spec.competition_name} in {self.spec.dataset_path}"
        if missing := [name for name in wanted if name not in frame.columns]:
            raise Refused(
                f"{where} lacks the columns {', '.join(missing)}; it has {', '.join(map(shown, frame.columns))}."
            )
        if self.target in frame.columns and (rows := np.flatnonzero(frame[self.target].isna())).size:
            raise Refused(
                f"{where} has no {self.target} in {rows.size} rows, row {rows[0]} first; fill or remove them."
            )

    def __getitem__(self, index: int) -> Sample:
        row = self._frame.iloc[index]
        text = self._row_texts[index]
        tokens = {name: np.array(numbers, np.int32) for name, numbers in self._tokenize(text).items()}
        sample = {"text": text, **tokens, "metadata": {"id": row[self.id_column]}}
        if self.target in row.index:
            sample["labels"] = self._label(row[self.target])
        return sample

    @cached_property
    def _row_texts(self) -> list[str]:
        from smalti.templates.engine import TextTemplateEngine

        features = self._frame.drop(columns=self.target, errors="ignore")
        return TextTemplateEngine().convert_data(features, self.spec.text_template or self.template)

    @property
    def _frame(self) -> pd.DataFrame:
        assert self._data is not None
        return self._data

    def _label(self, value: Any) -> np.ndarray[Any, Any]:
        return np.array([value], np.float32) if self.spec.competition_type in _NUMBERS else np.array(value, np.int32)
