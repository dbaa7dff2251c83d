"""The passengers of Kaggle's Titanic tables as text.

    sex male, class 3, age 22 years, fare 7.25 pounds, title Mr, siblings or spouses 1, parents or children 0,
    family size 2, alone no, deck unknown, embarked Southampton

Four facts are derived. *title*: what stands between the comma and the point in the name; Mlle and Ms are Miss, Mme is
Mrs; military ranks are Officer, titles of nobility Noble. *family size*: the siblings, spouses, parents and children
aboard, and the passenger. *alone*: whether that is one. *deck*: the letter of the first cabin (of ``F G73``, F). The
number of the ticket, the rest of the name and of the cabin are left out: they are nearly all different.

Source of the meanings: https://www.kaggle.com/competitions/titanic/data.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from smalti.errors import Refused
from smalti.templates.base_template import ClauseTemplate
from smalti.templates.clauses import Clause, DerivedClause
from smalti.templates.inputs import kind_of
from smalti.templates.written import TEXT

_TITLES = {
    **dict.fromkeys(("Mlle", "Ms"), "Miss"),
    "Mme": "Mrs",
    **dict.fromkeys(("Capt", "Col", "Major"), "Officer"),
    **dict.fromkeys(("Don", "Dona", "Jonkheer", "Lady", "Sir", "the Countess"), "Noble"),
}
_PORTS = {"C": "Cherbourg", "Q": "Queenstown", "S": "Southampton"}


def _title(name: pa.Array) -> pa.Array:
    titles = pc.struct_field(pc.extract_regex(_texts(name, "Name"), pattern=r",\s*(?P<title>[^,.]+)\."), "title")
    kind = pc.index_in(titles, value_set=pa.array(list(_TITLES), TEXT))
    return pc.coalesce(pa.array(list(_TITLES.values()), TEXT).take(kind), titles)


def _deck(cabin: pa.Array) -> pa.Array:
    first = pc.extract_regex(_texts(cabin, "Cabin"), pattern=r"^\s*(?P<deck>[A-Za-z])")
    return pc.utf8_upper(pc.struct_field(first, "deck"))


def _family_size(siblings: pa.Array, parents: pa.Array) -> pa.Array:
    return pc.add(pc.add(_numbers(siblings, "SibSp"), _numbers(parents, "Parch")), 1)


def _alone(siblings: pa.Array, parents: pa.Array) -> pa.Array:
    return pc.equal(_family_size(siblings, parents), 1)


def _texts(values: pa.Array, name: str) -> pa.Array:
    if kind_of(values.type) not in ("text", "nothing"):
        raise Refused(f"column {name!r} holds {values.type}, and text was wanted; give it as in Kaggle's file")
    return values.cast(TEXT)


def _numbers(values: pa.Array, name: str) -> pa.Array:
    if kind_of(values.type) not in ("number", "nothing"):
        raise Refused(f"column {name!r} holds {values.type}, and numbers were wanted; give it as in Kaggle's file")
    return values.cast(pa.float64())


TITANIC = ClauseTemplate(
    "titanic_v1",
    (
        Clause("sex", "Sex"),
        Clause("class", "Pclass"),
        Clause("age", "Age", "years"),
        Clause("fare", "Fare", "pounds"),
        DerivedClause("title", ("Name",), _title),
        Clause("siblings or spouses", "SibSp"),
        Clause("parents or children", "Parch"),
        DerivedClause("family size", ("SibSp", "Parch"), _family_size),
        DerivedClause("alone", ("SibSp", "Parch"), _alone),
        DerivedClause("deck", ("Cabin",), _deck),
        Clause("embarked", "Embarked", words=_PORTS),
    ),
)
