"""Laws of answers: what a hostile process says is a document of exactly the form of ours, or none."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from smalti.errors import NotFound, Unavailable
from smalti.ingest.answers import NoAnswer, checked_arrays, checked_document, result_of
from smalti.ingest.validate import document, validate_file
from smalti.store.values import ArrayInside
from tests.unit.formats.hostile.making import npz


class Form(BaseModel):
    """A document, told a second time and in another way."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Violated(Form):
    code: str
    place: str
    found: str
    wanted: str
    remedy: str
    severity: Literal["error", "warning"]
    index: list[NonNegativeInt]
    message: str


class Named(Form):
    name: str
    type: str


class Table(Form):
    columns: list[Named]
    rows: NonNegativeInt
    first: list[dict[str, str]]


class Array(Form):
    name: str
    dtype: str
    shape: list[NonNegativeInt]


class Arrays(Form):
    arrays: list[Array]


class Told(Form):
    kind: str | None
    contract: str | None
    accepted: bool
    reason: str | None
    violations: list[Violated]
    skipped: list[str]
    shape: list[NonNegativeInt] | None
    contents: Table | Arrays | None
    conversions: list[str]
    assumptions: list[str]
    missing: str | None


def told(path: Path, content: bytes) -> dict[str, Any]:
    path.write_bytes(content)
    said: dict[str, Any] = json.loads(json.dumps(document(validate_file(path), path.name)))
    return said


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """One of each kind: a scan with something skipped, a table, weights, bytes, and two that are refused."""
    folder = tmp_path_factory.mktemp("files")
    header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    return [
        told(folder / "scan.npz", npz(unasked=np.array(["text"]))),
        told(folder / "table.csv", b"a,b\n1,x\n2,y\n"),
        told(folder / "weights.safetensors", len(header).to_bytes(8, "little") + header + bytes(8)),
        told(folder / "notes.bin", b"what claims no format"),
        told(folder / "broken.npz", npz()[:100]),
        told(folder / "rows.csv", b"a,b\n1\n"),
    ]


def test_each_document_of_ours_is_one(documents: list[dict[str, Any]]) -> None:
    assert [said["kind"] for said in documents] == ["scan", "table", "checkpoint", "file", "scan", "table"]
    assert [said["accepted"] for said in documents] == [True] * 4 + [False] * 2
    assert documents[0]["skipped"]
    assert documents[1]["contents"]["first"]
    assert documents[2]["contents"]["arrays"]
    for said in documents:
        Told.model_validate(said)
        assert checked_document(said) == said


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every part of a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(place for name, item in items for place in places(item, (*here, name)))]


ODD = st.sampled_from(
    [None, True, False, -1, 0, 1, 1.5, 1 << 63, 1 << 64, "", "error", "x", [], [[]], [-1], ["x"], [None], {}, {"a": 1}]
)


@settings(max_examples=500)
@given(data=st.data())
def test_a_document_that_is_changed_anywhere_is_none_or_of_the_same_form(
    documents: list[dict[str, Any]], data: st.DataObject
) -> None:
    said = copy.deepcopy(data.draw(st.sampled_from(documents)))
    *way, last = data.draw(st.sampled_from(places(said)[1:]))
    part: Any = said
    for name in way:
        part = part[name]
    change = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if change == "replace":
        part[last] = data.draw(ODD)
    elif change == "remove":
        del part[last]
    elif isinstance(part, dict):
        part[data.draw(st.text(max_size=3))] = data.draw(ODD)
    else:
        part.append(data.draw(ODD))
    try:
        found = checked_document(said)
    except NoAnswer:
        return
    Told.model_validate(found)
    assert found["accepted"] == (
        found["reason"] is None and "error" not in [v["severity"] for v in found["violations"]]
    )
    assert not found["accepted"] or (found["kind"] and found["contract"]) is not None


def test_the_form_is_as_strict_in_every_field(documents: list[dict[str, Any]]) -> None:
    for said in documents:
        for *way, last in places(said)[1:]:
            changed = copy.deepcopy(said)
            part: Any = changed
            for name in way:
                part = part[name]
            part[last] = 1.5  # nowhere
            with pytest.raises(ValidationError):
                Told.model_validate(changed)
            with pytest.raises(NoAnswer):
                checked_document(changed)


def test_counts_are_those_of_a_machine(documents: list[dict[str, Any]]) -> None:
    with pytest.raises(NoAnswer, match="whose shape is"):
        checked_document({**documents[0], "shape": [1 << 63]})


@pytest.mark.parametrize("change", [{"first": [{"c": "x"}]}, {"rows": 1}])
def test_first_rows_are_rows_of_the_table(documents: list[dict[str, Any]], change: dict[str, Any]) -> None:
    said = documents[1]
    with pytest.raises(NoAnswer, match="whose contents is"):
        checked_document({**said, "contents": {**said["contents"], **change}})


@pytest.mark.parametrize("missing", ["kind", "contract"])
def test_what_is_accepted_is_something(documents: list[dict[str, Any]], missing: str) -> None:
    with pytest.raises(NoAnswer, match="accepts a file as nothing"):
        checked_document({**documents[0], missing: None})


def test_where_a_contract_is_named_a_file_need_have_no_kind(documents: list[dict[str, Any]]) -> None:
    said = {**documents[0], "kind": None}
    assert checked_document(said, contract_named=True) == said


def test_an_error_of_the_library_comes_through_and_no_other() -> None:
    def answer(name: Any, message: str) -> None:
        result_of(json.dumps({"error": name, "message": message}).encode())

    with pytest.raises(NotFound, match="there is no such thing"):
        answer("NotFound", "there is no such thing.")
    with pytest.raises(Unavailable, match="try later"):
        answer("Unavailable", "try later.")
    for foreign in ("SystemExit", "annotations", "KeyboardInterrupt", "__name__", 7):
        with pytest.raises(NoAnswer, match="gave no answer that makes sense"):
            answer(foreign, "x")


@pytest.mark.parametrize(
    "answer", [b"", b"{]", b"\xff", b"[]", b'{"result": 1}', b"[" * 100_000, b'{"result": {"a": %s}}' % (b"9" * 5000)]
)
def test_what_is_no_result_is_none(answer: bytes) -> None:
    with pytest.raises(NoAnswer):
        result_of(answer)


SAID = {"arrays": [["<f4", [2, 3], [0, 16, 32, 8]], ["bfloat16", [], []]]}


def test_arrays_in_a_file_are_plain_numbers() -> None:
    assert checked_arrays(SAID) == (
        ArrayInside("<f4", (2, 3), ((0, 16), (32, 8))),
        ArrayInside("bfloat16", (), ()),
    )


@pytest.mark.parametrize(
    "array", [None, [], ["<f4", [2]], ["O", [], []], [">f4", [], []], ["<f4,<f4", [], []], [["a", "<f4"], [], []],
              ["<f4", [-1], []], ["<f4", [1.0], []], ["<f4", [True], []], ["<f4", [1] * 33, []], ["<f4", {}, []],
              ["<f4", [], [1]], ["<f4", [], [0, "8"]], ["<f4", [], [[0, 8]]], ["<f4", [], [0, 1 << 63]]],
)  # fmt: skip
def test_what_is_no_array_in_a_file_is_no_answer(array: Any) -> None:
    with pytest.raises(NoAnswer, match="no list of arrays"):
        checked_arrays({"arrays": [*SAID["arrays"], array]})


def test_arrays_and_runs_of_them_are_counted() -> None:
    for many in ([["<f4", [], []]] * 4097, [["<f4", [], [0] * 2 * 65537]]):
        with pytest.raises(NoAnswer, match="more than 4096 arrays or 65536 runs"):
            checked_arrays({"arrays": many})
    for said in ({}, {"arrays": {}}, {**SAID, "more": 1}):
        with pytest.raises(NoAnswer, match="no list of arrays"):
            checked_arrays(said)
