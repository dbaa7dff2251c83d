"""Laws of the sandbox: each file has its own result, whatever it does to its reader, and values come back untouched."""

from __future__ import annotations

import base64
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pytest

import smalti.ingest.sandbox
from smalti.codecs import Scan
from smalti.compute.limits import ChildLimits
from smalti.contracts.builtin.scan import SCAN
from smalti.errors import Unavailable
from smalti.ingest.sandbox import Sandbox, limits_for
from smalti.ingest.validate import document, validate_file
from smalti.store.values import ArrayInside
from tests.sandboxed.places import injected
from tests.unit.formats.hostile.making import npz

SOUND = {
    "kind": "scan", "contract": "scan/1", "accepted": True, "reason": None, "violations": [], "skipped": [],
    "shape": [1, 2, 3], "contents": None, "conversions": [], "assumptions": [], "missing": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", injected())
        with Sandbox() as made:
            yield made


@pytest.fixture
def taken_over(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """A sandbox in which every file does what it likes."""
    monkeypatch.setattr(smalti.ingest.sandbox, "_VALIDATE", "smalti.escapes:obey")
    return sandbox


def hostile(folder: Path, name: str, **order: Any) -> Path:
    path = folder / f"{name}.npz"
    path.write_text(json.dumps(order))
    return path


def good(folder: Path, name: str = "good", document: Any = SOUND) -> Path:
    return hostile(folder, name, do="say", answer=document)


def test_a_scan_is_what_it_is_without_a_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(npz())
    result, plain = sandbox.validate(path, keep=True), validate_file(path)
    assert result.document == json.loads(json.dumps(document(plain, path.name)))
    assert isinstance(result.value, Scan)
    np.testing.assert_array_equal(result.value.diffraction, plain.value.diffraction)
    assert result.value.metadata == plain.value.metadata
    assert sandbox.validate(path).value is None


def test_a_table_is_compared_with_the_one_before(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,x\n2,y\n")
    before = base64.b64encode(pa.schema({"a": pa.float64(), "b": pa.string()}).serialize()).decode()
    compared = sandbox.validate(path, accepted_schema=before)
    assert [violation["place"] for violation in compared.document["violations"]] == ["a"]
    assert sandbox.validate(path, keep=True).value.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_the_card_beside_a_file_is_read(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(npz())
    (tmp_path / "scan.npz.card.yaml").write_text("title: what the card says\nunknown_field: 1\n")
    assert "unknown_field" in sandbox.validate(path).document["reason"]


@pytest.mark.parametrize("named", ["given", "file"])
def test_your_own_contract_is_run_and_may_import_what_you_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "my_rules.py").write_text("least = 3")
    (tmp_path / "mine.py").write_text(
        "from my_rules import least\nfrom smalti.contracts import TableContract\n"
        "MINE = TableContract(name='mine', version=1, summary='Mine.', minimum_rows=least, others='welcome')\n"
    )
    (tmp_path / "table.csv").write_text("a\n1\n2\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((injected(), str(tmp_path / "lib"))))
    monkeypatch.chdir(tmp_path)
    contract, file = ("mine.py:MINE", None) if named == "given" else ("mine", Path("mine.py"))
    with Sandbox(tmp_path) as own:
        found = own.validate(Path("table.csv"), contract=contract, contracts_file=file).document
    assert (found["contract"], [v["code"] for v in found["violations"]]) == ("mine/1", ["table.rows"])


@pytest.mark.parametrize(
    ("contract", "says"), [("nothing", "nothing is no contract"), ("absent.py:X", "absent.py cannot be read")]
)
def test_why_there_is_no_such_contract_is_said(sandbox: Sandbox, tmp_path: Path, contract: str, says: str) -> None:
    (tmp_path / "table.csv").write_text("a\n1\n")
    found = sandbox.validate(tmp_path / "table.csv", contract=contract).document
    assert found.keys() == {"usage"}
    assert found["usage"].startswith(says)


def test_a_file_is_called_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Sandbox(Path("here")) as own:
        found = own.validate(Path("sub/absent.npz")).document
    assert found["reason"] == "there is no file sub/absent.npz; give the path of a file that exists."


def test_why_nothing_could_be_confined_is_said(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "scan.npz").write_bytes(npz())
    request = {"path": "scan.npz", "contract": None, "contracts_file": None}
    with pytest.raises(Unavailable, match=r"no process could be confined, so nothing was read .*No such file .*absent"):
        sandbox._outcome(tmp_path / "scan.npz", request, tmp_path / "absent", [], smalti.ingest.sandbox._VALIDATE, None)


def test_a_file_that_is_not_there_is_refused_in_words(sandbox: Sandbox, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.npz", tmp_path / "nul\0", tmp_path / ("x" * 300), tmp_path, Path("/"), Path()):
        found = sandbox.validate(path).document
        assert not found["accepted"]
        assert found["reason"]


WAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "segfault": ({"do": "crash"}, "file.crashed_the_reader", "was killed by SIGSEGV"),
    "abort": ({"do": "abort"}, "file.crashed_the_reader", "was killed by SIGABRT"),
    "nameless signal": ({"do": "end_by", "signal": 40}, "file.crashed_the_reader", "was killed by signal 40"),
    "fail": ({"do": "fail"}, "file.crashed_the_reader", "failed: RuntimeError: the cause"),
    "leave": ({"do": "leave"}, "file.crashed_the_reader", "ended with status 1"),
    "memory": ({"do": "take_without_end"}, "file.too_much_memory", "more memory than the 384 MB"),
    "silence": ({"do": "close_without_answer"}, "file.crashed_the_reader", "was killed by SIGKILL"),
    "endless": ({"do": "say_raw", "hex": "41" + "ff" * 8, "again": True}, "file.crashed_the_reader", "SIGKILL"),
    "no JSON": (
        {"do": "say_raw", "hex": (struct.pack("<cQ", b"A", 3) + b"{]}").hex(), "again": False},
        "file.crashed_the_reader",
        "gave no answer that makes sense",
    ),
    "no document": (
        {"do": "say", "answer": {"accepted": True}},
        "file.crashed_the_reader",
        "answered a document of other fields",
    ),
    "no value": ({"do": "say", "answer": SOUND}, "file.crashed_the_reader", "handed over what is no value"),
    "foreign value": (
        {"do": "say", "answer": SOUND, "leave": {"description.json": '{"header": 1}', "content": "x" * 64}},
        "file.crashed_the_reader",
        "handed over what is no value",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_file_does_to_its_reader_is_a_violation_of_its_own(
    taken_over: Sandbox, tmp_path: Path, way: str
) -> None:
    order, code, says = WAYS[way]
    result = taken_over.validate(hostile(tmp_path, "bad", **order), keep=True)
    assert not result.document["accepted"]
    assert result.value is None
    assert [violation["code"] for violation in result.document["violations"]] == [code]
    assert says in result.document["reason"]
    assert result.document["reason"].startswith("bad.npz: the file: found a file that cannot be read: ")


def test_hostile_files_between_good_ones_change_nothing(taken_over: Sandbox, tmp_path: Path) -> None:
    files, documents = [], []
    for number, (order, _, _) in enumerate(WAYS.values()):
        documents.append({**SOUND, "shape": [number]})
        files += [good(tmp_path, f"good {number}", documents[-1]), hostile(tmp_path, f"bad {number}", **order)]
    found = [taken_over.validate(path).document for path in files]
    assert found[::2] == documents


def test_a_second_answer_is_not_that_of_the_next_file(taken_over: Sandbox, tmp_path: Path) -> None:
    first = taken_over.validate(hostile(tmp_path, "twice", do="answer_twice")).document
    assert not first["accepted"]
    assert taken_over.validate(good(tmp_path)).document == SOUND


def test_a_document_of_another_form_is_none(taken_over: Sandbox, tmp_path: Path) -> None:
    found = taken_over.validate(good(tmp_path, document={**SOUND, "accepted": "yes"})).document
    assert [violation["code"] for violation in found["violations"]] == ["file.crashed_the_reader"]
    assert (found["kind"], found["contract"]) == ("scan", SCAN.id)  # that of its name, since nothing else is known


def test_a_file_that_takes_too_long_is_too_slow(
    taken_over: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def short(nbytes: int) -> ChildLimits:
        sizes.append(nbytes)
        return replace(limits_for(nbytes), cpu_s=1)

    monkeypatch.setattr(smalti.ingest.sandbox, "limits_for", short)
    path = hostile(tmp_path, "slow", do="compute", stubborn=False)
    (violation,) = taken_over.validate(path).document["violations"]
    assert violation["code"] == "file.too_slow"
    assert "more than 1 s of computing" in violation["found"]
    assert sizes == [path.stat().st_size]


def test_a_contract_that_nobody_named_cannot_be_unknown(taken_over: Sandbox, tmp_path: Path) -> None:
    path = good(tmp_path, document={"usage": "there is no such contract."})
    assert taken_over.validate(path, contract="x").document == {"usage": "there is no such contract."}
    assert not taken_over.validate(path).document["accepted"]


def test_no_control_character_of_a_hostile_answer_is_shown(taken_over: Sandbox, tmp_path: Path) -> None:
    columns, rows = [{"name": "\x07", "type": "string"}], [{"\x07": "\x9b"}]
    table = {"columns": columns, "rows": 1, "first": rows}
    said = {**SOUND, "conversions": ["\x1b[2Jgone\u202e\nnext line"], "skipped": ["\x1b"], "contents": table}
    found = taken_over.validate(good(tmp_path, document=said)).document
    assert found["conversions"] == ["\ufffd[2Jgone\ufffd\nnext line"]
    assert found["skipped"] == ["\ufffd"]
    assert found["contents"]["first"] == [{"\ufffd": "\ufffd"}]


def test_the_machine_is_not_the_file(taken_over: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b'{"error": "Unavailable", "message": "the disk is gone."}'
    order = {"do": "say_raw", "hex": (struct.pack("<cQ", b"A", len(data)) + data).hex(), "again": False}
    with pytest.raises(Unavailable, match="the disk is gone"):
        taken_over.validate(hostile(tmp_path, "x", **order))


def test_it_goes_on_when_its_processes_are_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "scan.npz"
    path.write_bytes(npz())
    first = sandbox.validate(path).document
    server = sandbox._server
    assert server is not None
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGKILL)
    assert sandbox.validate(path).document == first


def test_nothing_is_left_behind_and_values_stay(tmp_path: Path) -> None:
    path, place = tmp_path / "scan.npz", tmp_path / "place"
    path.write_bytes(npz())
    place.mkdir()
    with Sandbox(place) as own:
        value = own.validate(path, keep=True).value
        (folder,) = place.iterdir()
        assert {left.name for left in folder.iterdir()} == {"server", "held"}
    assert list(place.iterdir()) == []
    assert not value.diffraction.flags.writeable
    np.testing.assert_array_equal(value.diffraction, validate_file(path).value.diffraction)


def test_it_works_where_the_kernel_protects_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib").mkdir()
    absent = "import sys; sys.modules['landlock'] = sys.modules['pyseccomp'] = None\n"
    (tmp_path / "lib" / "sitecustomize.py").write_text(absent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path / "lib"), injected())))
    (tmp_path / "scan.npz").write_bytes(npz())
    (tmp_path / "else").write_text("there")
    with Sandbox() as own:
        assert own.validate(tmp_path / "scan.npz", keep=True).value is not None
        assert (
            own._started()
            .call(
                "smalti.ingest.confined:validate",
                {"path": str(tmp_path / "else"), "contract": None, "accepted_schema": None, "handover": None},
                limits=limits_for(0),
                writable=tmp_path / "lib",
            )
            .alone
            is False
        )


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_the_server_has_one_thread_whatever_it_has_imported(sandbox: Sandbox, tmp_path: Path) -> None:
    for name in ("a.csv", "b.parquet", "c.h5", "d.npz", "e.jsonl", "f.arrow", "g.safetensors"):
        (tmp_path / name).write_text("a\n1\n")
        sandbox.validate(tmp_path / name)
    server = sandbox._server
    assert server is not None
    assert server._process is not None
    assert len(list(Path(f"/proc/{server._process.pid}/task").iterdir())) == 1


def test_its_processes_start_before_this_one_imports_what_is_large() -> None:
    code = "import sys; import smalti.ingest.sandbox; sys.exit('numpy' in sys.modules or 'smalti.store' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sandbox_that_read_nothing_made_nothing(tmp_path: Path) -> None:
    with Sandbox(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_larger_file_may_take_more_and_starts_with_the_same_memory() -> None:
    small, large = limits_for(0), limits_for(1 << 30)
    assert small.memory_nbytes == large.memory_nbytes == 384 << 20
    assert small.cpu_s <= 5 < large.cpu_s
    assert small.claimable_nbytes < large.claimable_nbytes
    assert small.file_nbytes < large.file_nbytes


def test_where_the_arrays_of_an_hdf5_file_lie_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    path, stack = tmp_path / "scan.h5", np.arange(1 << 16, dtype="<f4").reshape(4, 128, 128)
    with h5py.File(path, "w") as file:
        file["diffraction"] = stack
        file.create_dataset("chunked", data=stack, chunks=(3, 128, 128))
    data = path.read_bytes()
    whole, chunked = sorted(sandbox.stored_arrays(path), key=lambda array: len(array.runs))
    for array in (whole, chunked):
        content = b"".join(data[offset : offset + nbytes] for offset, nbytes in array.runs)
        assert (array.dtype, array.shape, content) == ("<f4", stack.shape, stack.tobytes())
    assert [nbytes for _, nbytes in chunked.runs] == [3 << 16, 1 << 16]


def test_a_file_whose_arrays_cannot_be_told_has_none(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1 << 16))
    assert sandbox.stored_arrays(tmp_path / "broken.h5") == ()
    assert sandbox.stored_arrays(tmp_path / "absent.h5") == ()
    monkeypatch.setattr(smalti.ingest.sandbox, "_STORED_ARRAYS", "smalti.escapes:obey")
    for answer in ({"arrays": [["O", [1], [0, 8]]]}, {"arrays": 3}, {}, SOUND):
        assert sandbox.stored_arrays(good(tmp_path, document=answer)) == ()
    assert sandbox.stored_arrays(hostile(tmp_path, "bad", do="die")) == ()
    told = {"arrays": [["<f4", [2], [0, 8]]]}
    assert sandbox.stored_arrays(good(tmp_path, document=told)) == (ArrayInside("<f4", (2,), ((0, 8),)),)
