"""The contracts of Kaggle's Titanic tables, train and test: the worked example of a table contract.

Source of the meanings: https://www.kaggle.com/competitions/titanic/data.
"""

from __future__ import annotations

from smalti.contracts.tables.columns import ColumnSpec
from smalti.contracts.tables.table import TableContract

_SURVIVED = ColumnSpec(
    key="Survived", meaning="Whether the passenger survived: 1 is yes.", type="integer", choices=(0, 1)
)
_PASSENGER = (
    ColumnSpec(key="PassengerId", meaning="Number of the passenger.", type="integer", minimum=1, unique=True),
    ColumnSpec(key="Pclass", meaning="Class of the ticket.", type="integer", choices=(1, 2, 3)),
    ColumnSpec(key="Name", meaning="Family name, title, given names.", type="text"),
    ColumnSpec(key="Sex", meaning="Sex.", type="text", choices=("female", "male")),
    ColumnSpec(
        key="Age",
        meaning="Age; of children a fraction, estimated ages end in .5.",
        type="number",
        unit="years",
        nullable=True,
        exclusive_minimum=0,
        maximum=120,
    ),
    ColumnSpec(key="SibSp", meaning="Siblings and spouses aboard.", type="integer", minimum=0),
    ColumnSpec(key="Parch", meaning="Parents and children aboard.", type="integer", minimum=0),
    ColumnSpec(key="Ticket", meaning="Number of the ticket.", type="text"),
    ColumnSpec(key="Fare", meaning="Fare.", type="number", unit="pounds", nullable=True, minimum=0),
    ColumnSpec(key="Cabin", meaning="Cabins, deck first.", type="text", nullable=True),
    ColumnSpec(
        key="Embarked",
        meaning="Port: Cherbourg, Queenstown or Southampton.",
        type="text",
        nullable=True,
        choices=("C", "Q", "S"),
    ),
)

TITANIC_TRAIN = TableContract(
    name="titanic-train",
    version=1,
    summary="Passengers of the Titanic of whom it is known whether they survived.",
    columns=(_PASSENGER[0], _SURVIVED, *_PASSENGER[1:]),
    minimum_rows=891,
    maximum_rows=891,
    rows="warning",
)
TITANIC_TEST = TableContract(
    name="titanic-test",
    version=1,
    summary="Passengers of the Titanic of whom it is to be said whether they survived.",
    columns=_PASSENGER,
    minimum_rows=418,
    maximum_rows=418,
    rows="warning",
)
