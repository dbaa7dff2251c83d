"""Kaggle's Titanic: passengers as texts, and whether they survived."""

from __future__ import annotations

from smalti.contracts.builtin.titanic import TITANIC_TEST
from smalti.datasets.competitions.tabular import TabularDataset


class TitanicDataset(TabularDataset):
    """The passengers of one split; ``labels`` is 1 for those who survived. See ``TabularDataset`` for a sample."""

    competition = "titanic"
    columns = tuple(spec.key for spec in TITANIC_TEST.columns)
    target = "Survived"
    template = "titanic_v1"
    id_column = "PassengerId"
