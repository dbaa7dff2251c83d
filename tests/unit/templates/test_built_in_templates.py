"""The built-in templates: what they make of known rows never changes, and they ask for Kaggle's columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest

from smalti.errors import Refused
from smalti.formats import read_file
from smalti.formats.content import TableContent
from smalti.templates import ClauseTemplate, TextTemplateEngine
from smalti.templates.builtin import BUILT_IN

ENGINE = TextTemplateEngine()
PASSENGER: dict[str, Any] = {
    "Pclass": 1,
    "Name": "Doe, Mrs. Jane (Ann Roe)",
    "Sex": "female",
    "Age": 38.5,
    "SibSp": 1,
    "Parch": 2,
    "Fare": 71.2833,
    "Cabin": "C85",
    "Embarked": "C",
}
HOUSE: dict[str, Any] = {
    **{"MSSubClass": 60, "MSZoning": "RL", "LotFrontage": 65.0, "LotArea": 8450, "Street": "Pave", "Alley": None},
    **{"LotShape": "IR1", "LandContour": "Lvl", "Utilities": "AllPub", "LotConfig": "FR2", "LandSlope": "Gtl"},
    **{"Neighborhood": "NAmes", "Condition1": "Norm", "Condition2": "Feedr", "BldgType": "1Fam"},
    **{"HouseStyle": "2Story", "OverallQual": 7, "OverallCond": 5, "YearBuilt": 2003, "YearRemodAdd": 2004},
    **{"RoofStyle": "Gable", "RoofMatl": "CompShg", "Exterior1st": "VinylSd", "Exterior2nd": "Wd Sdng"},
    **{"MasVnrType": None, "MasVnrArea": 0.0, "ExterQual": "Gd", "ExterCond": "TA", "Foundation": "PConc"},
    **{"BsmtQual": "Ex", "BsmtCond": "TA", "BsmtExposure": "Mn", "BsmtFinType1": "GLQ", "BsmtFinSF1": 706},
    **{"BsmtFinType2": "Unf", "BsmtFinSF2": 0, "BsmtUnfSF": 150, "TotalBsmtSF": 856, "Heating": "GasA"},
    **{"HeatingQC": "Fa", "CentralAir": "Y", "Electrical": None, "1stFlrSF": 856, "2ndFlrSF": 854},
    **{"LowQualFinSF": 0, "GrLivArea": 1710, "BsmtFullBath": 1, "BsmtHalfBath": 0, "FullBath": 2, "HalfBath": 1},
    **{"BedroomAbvGr": 3, "KitchenAbvGr": 1, "KitchenQual": "Gd", "TotRmsAbvGrd": 8, "Functional": "Typ"},
    **{"Fireplaces": 0, "FireplaceQu": None, "GarageType": "Attchd", "GarageYrBlt": 2003.0, "GarageFinish": "RFn"},
    **{"GarageCars": 2, "GarageArea": 548, "GarageQual": "TA", "GarageCond": "TA", "PavedDrive": "P"},
    **{"WoodDeckSF": 0, "OpenPorchSF": 61, "EnclosedPorch": 0, "3SsnPorch": 0, "ScreenPorch": 0, "PoolArea": 0},
    **{"PoolQC": None, "Fence": "MnPrv", "MiscFeature": None, "MiscVal": 0, "MoSold": 2, "YrSold": 2008},
    **{"SaleType": "WD", "SaleCondition": "Abnorml"},
}


def test_titanic_v1_is_what_models_were_trained_on() -> None:
    assert ENGINE.convert_row(PASSENGER, "titanic_v1") == (
        "sex female, class 1, age 38.5 years, fare 71.2833 pounds, title Mrs, siblings or spouses 1, "
        "parents or children 2, family size 4, alone no, deck C, embarked Cherbourg"
    )


def test_what_is_unknown_of_a_passenger_is_said() -> None:
    nobody = dict.fromkeys(PASSENGER)
    assert ENGINE.convert_row(nobody, "titanic_v1") == (
        "sex unknown, class unknown, age unknown, fare unknown, title unknown, siblings or spouses unknown, "
        "parents or children unknown, family size unknown, alone unknown, deck unknown, embarked unknown"
    )


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Oliva y Ocana, Dona. Fermina", "Noble"),
        ("Rothes, the Countess. of (Lucy)", "Noble"),
        ("Reynaldo, Ms. Encarnacion", "Miss"),
        ("Crosby, Capt. Edward", "Officer"),
        ("Minahan, Dr. William", "Dr"),
        ("Goodwin, Master. Sidney", "Master"),
        ("Nobody", "unknown"),
        ("Doe,Mr. John", "Mr"),
        ("O'Dwyer, {title}. [CLS]", "{title}"),
    ],
)
def test_the_title_is_what_stands_between_comma_and_point(name: str, title: str) -> None:
    assert f"title {title}," in ENGINE.convert_row(PASSENGER | {"Name": name}, "titanic_v1")


@pytest.mark.parametrize(
    ("cabin", "deck"), [("F G73", "F"), ("C23 C25", "C"), ("T", "T"), (None, "unknown"), ("7", "unknown")]
)
def test_the_deck_is_the_letter_of_the_first_cabin(cabin: str | None, deck: str) -> None:
    assert f"deck {deck}," in ENGINE.convert_row(PASSENGER | {"Cabin": cabin}, "titanic_v1")


def test_who_travels_with_nobody_is_alone() -> None:
    text = ENGINE.convert_row(PASSENGER | {"SibSp": 0, "Parch": 0.0}, "titanic_v1")
    assert "family size 1, alone yes" in text


@pytest.mark.parametrize(
    ("column", "value", "wanted"), [("Name", 7, "text"), ("Cabin", 85.0, "text"), ("SibSp", "1", "numbers")]
)
def test_a_column_of_which_nothing_can_be_derived_is_refused_by_name(column: str, value: Any, wanted: str) -> None:
    with pytest.raises(Refused, match=f"column '{column}' holds .*, and {wanted}.* wanted"):
        ENGINE.convert_row(PASSENGER | {column: value}, "titanic_v1")


def test_the_titanic_tables_are_written_alike_by_pandas_by_arrow_and_row_by_row(
    titanic_paths: tuple[Path, Path],
) -> None:
    for path in titanic_paths:
        frame = pd.read_csv(path)
        texts = ENGINE.convert_data(data=frame, template_name="titanic_v1")
        assert ENGINE.convert_data(pa.csv.read_csv(path), "titanic_v1") == texts
        content = read_file(path)
        assert isinstance(content, TableContent)
        assert ENGINE.convert_data(content.table, "titanic_v1") == texts
        assert [ENGINE.convert_row(frame.iloc[at], "titanic_v1") for at in range(0, len(frame), 7)] == texts[::7]
        assert all(text.count(", ") == 10 for text in texts)
        assert not any("title unknown" in text for text in texts)
    assert texts[0].startswith("sex male, class 3, age 34.5 years, fare 7.8292 pounds, title Mr")


def test_house_prices_v1_is_what_models_were_trained_on() -> None:
    assert ENGINE.convert_row(pd.Series(HOUSE), "house_prices_v1") == (
        "dwelling two storeys 1946 or newer, zone low density, frontage 65 feet, lot area 8450 sqft, street paved, "
        "lot shape slightly irregular, land level, utilities all, lot position frontage on two sides, "
        "slope gentle, neighbourhood North Ames, near normal, also near feeder street, building single family, "
        "style two storeys, overall quality 7 of 10, overall condition 5 of 10, built 2003, remodelled 2004, "
        "roof style Gable, roof material composite shingle, exterior cover vinyl, second exterior cover wood, "
        "masonry type none, masonry area 0 sqft, exterior quality good, exterior condition typical, "
        "foundation poured concrete, basement height excellent, basement condition typical, "
        "basement exposure minimum, basement finish good living quarters, finished basement 706 sqft, "
        "second basement finish unfinished, second finished basement 0 sqft, unfinished basement 150 sqft, "
        "basement area 856 sqft, heating type gas warm air, heating quality fair, air conditioning yes, "
        "electrical unknown, first floor 856 sqft, second floor 854 sqft, low quality area 0 sqft, "
        "living area 1710 sqft, basement baths 1, basement half baths 0, baths 2, half baths 1, bedrooms 3, "
        "kitchens 1, kitchen quality good, rooms 8, functionality typical, fireplaces 0, fireplace quality none, "
        "garage type attached, garage built 2003, garage finish rough finished, garage cars 2, "
        "garage area 548 sqft, garage quality typical, garage condition typical, drive paved partly, "
        "wood deck 0 sqft, open porch 61 sqft, enclosed porch 0 sqft, three season porch 0 sqft, "
        "screen porch 0 sqft, pool area 0 sqft, fence minimum privacy, feature value 0 dollars, sold in February, "
        "year sold 2008, sale type conventional warranty deed, sale condition abnormal"
    )


def test_what_a_house_lacks_is_written_alike_whether_read_as_missing_or_as_text() -> None:
    lacking = ("MasVnrType", "BsmtQual", "BsmtExposure", "BsmtFinType1", "FireplaceQu", "GarageType", "GarageFinish")
    missing = ENGINE.convert_row(HOUSE | dict.fromkeys(lacking), "house_prices_v1")
    assert ENGINE.convert_row(HOUSE | dict.fromkeys(lacking, "NA"), "house_prices_v1") == missing
    assert missing.count(" none") == len(lacking)


def test_the_house_template_asks_for_all_of_kaggle_s_columns_but_id_and_price() -> None:
    house = next(template for template in BUILT_IN if template.name == "house_prices_v1")
    assert house.columns == tuple(HOUSE)
    assert len(house.columns) == 79


@pytest.mark.parametrize("template", BUILT_IN, ids=lambda template: template.name)
def test_no_label_begins_with_another_so_that_a_clause_has_one_reading(template: ClauseTemplate) -> None:
    labels = [clause.label for clause in template.clauses]
    assert not [(one, other) for one in labels for other in labels if other.startswith(f"{one} ")]


def test_a_house_without_one_of_its_columns_is_refused() -> None:
    with pytest.raises(
        Refused, match="'house_prices_v1' asks for 'Alley', 'PoolQC', and the table has only MSSubClass"
    ):
        ENGINE.convert_row({k: v for k, v in HOUSE.items() if k not in ("Alley", "PoolQC")}, "house_prices_v1")
