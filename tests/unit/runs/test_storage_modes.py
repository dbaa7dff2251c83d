"""Laws of storage modes: the five are shown where the document says, patterns are checked first and stay in runs/."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.errors import Refused
from smalti.runs import RunType, StorageMode
from smalti.runs.run_types import run_type_of
from smalti.runs.storage_modes import Facts, pattern_of, view_of, views_of
from smalti.store.manifests.views import check_view

FACTS = Facts("churn", "bert", "production", datetime(2024, 1, 15, 9, 30))
NOBODY = Facts("", "", "experiment", datetime(2024, 1, 15))


def test_the_five_modes_are_shown_where_the_document_says() -> None:
    views = {mode: view_of(pattern_of(mode), FACTS) for mode in StorageMode}
    assert views == {
        "by_project": "by_project/churn",
        "by_date": "by_date/2024-01-15",
        "by_type": "by_type/production",
        "by_model": "by_model/bert",
        "flat": "all",
    }
    assert views_of(["by_project", StorageMode.BY_MODEL], NOBODY) == ("by_project/default", "by_model/unknown")
    assert views_of("flat", NOBODY) == views_of(["flat", StorageMode.FLAT], NOBODY) == ("all",)


@pytest.mark.parametrize(
    ("pattern", "view"),
    [
        ("{project}/{model}/{date:%Y-%m}", "churn/bert/2024-01"),
        ("{date}", "2024-01-15"),
        ("{date:%Y/%m/%d}", "2024/01/15"),
        ("team a/{run_type}-{project}", "team a/production-churn"),
        ("x{{y}}/{project}", "x%7By%7D/churn"),
    ],
)
def test_a_pattern_is_filled_in(pattern: str, view: str) -> None:
    assert views_of([pattern], FACTS) == (view,)


@pytest.mark.parametrize(
    ("mode", "sentence"),
    [
        (
            "by_colour",
            "is no storage mode; there are by_project, by_date, by_type, by_model, flat, and patterns",
        ),
        ("", "is no storage mode"),
        (3, "3 is no storage mode"),
        ("{projekt}", "has the field 'projekt'; there are project, model, run_type, date"),
        ("{project.__class__}", "has the field 'project.__class__'; there are"),
        ("{project[0]}", "there are project"),
        ("{}", "has the field ''; there are"),
        ("{project:>8}", "gives project the format '>8'; only date takes one"),
        ("{project!r}", "the format '!r'; only date"),
        ("{date:%D}", "gives date the format '%D'; it may hold %Y %y %m %d"),
        ("{date:Y}", "gives date the format 'Y'"),
        ("{date:%Y%}", "gives date the format"),
        ("{project", "cannot be read: expected '}'"),
        ("{project}//{model}", "has an empty part"),
        ("/{project}", "has an empty part"),
        ("../{project}", "or one of dots only"),
        ("{project}/..", "or one of dots only"),
    ],
)
def test_what_is_no_mode_is_refused_before_anything_happens(mode: str, sentence: str) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        pattern_of(mode)


@given(project=st.text(), model=st.text())
def test_no_project_and_no_model_leads_out_of_runs(project: str, model: str) -> None:
    facts = Facts(project, model, "analysis", datetime(2024, 1, 15))
    view = view_of("by/{project}/{model}", facts) if project.strip(".") and model.strip(".") else "by/x/y"
    assert check_view(view).count("/") == 2


def test_a_project_of_dots_is_refused_and_one_called_like_our_folders_is_told_apart() -> None:
    with pytest.raises(Refused, match="or one of dots only"):
        views_of(["by_project"], Facts("..", "", "analysis", datetime(2024, 1, 15)))
    assert views_of(["by_project"], Facts("inputs", "", "analysis", datetime(2024, 1, 15))) == ("by_project/%inputs",)


def test_run_types_are_the_five_and_another_is_refused_with_all_of_them() -> None:
    assert [*RunType] == ["experiment", "production", "evaluation", "development", "analysis"]
    assert run_type_of("production") is RunType.PRODUCTION
    with pytest.raises(Refused, match="'prod' is no run type; there are experiment, production, evaluation, dev"):
        run_type_of("prod")
