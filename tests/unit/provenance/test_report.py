"""The report page says what a value or a run is, fetches nothing, runs nothing, and obeys no text in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from smalti import Store, open_store
from smalti.errors import Ambiguous, NotFound
from smalti.provenance import report_page
from smalti.store import Ref, Step

SUBJECTS = ["solved/fly", "product/fly", "raw/fly", "solve", "export", "ingest"]


class Elements(HTMLParser):
    """The elements of a page, their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "every element is closed in turn"

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.mark.parametrize("what", SUBJECTS)
def test_a_page_fetches_nothing_and_runs_nothing(beamline: Store, what: str) -> None:
    elements = Elements(report_page(beamline, what))
    assert not elements.open, "the page is whole"
    assert {"script", "iframe", "object", "embed", "link", "form", "b script"}.isdisjoint(
        tag for tag, _ in elements.tags
    )
    for tag, attributes in elements.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), f"{tag} {attributes}"
        assert (attributes.get("src") or "data:").startswith("data:image/png;base64,") or "src" not in attributes
        assert (attributes.get("href") or "https://").startswith("https://"), "no link is a program"
    policy = next(a["content"] for tag, a in elements.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert str(policy).startswith("default-src 'none'; img-src data:; style-src 'sha256-")


@pytest.mark.parametrize("what", SUBJECTS)
def test_text_that_hides_or_turns_around_is_shown_as_it_is(beamline: Store, what: str) -> None:
    page = report_page(beamline, what)
    assert "\u202e" not in page
    assert "<script" not in page


def test_a_value_is_told_down_to_its_raw_files_with_licences(beamline: Store) -> None:
    words = Elements(report_page(beamline, "product/fly")).text
    raw = beamline.record(beamline.record("raw/fly").children["content"]).header["sha256"]
    for said in ("fly001.npz", raw, "CC BY 4.0", "CC0", "2-ID", "ingest", "solve", "phase", "scan/1"):
        assert str(said) in words, said
    assert "CC0" in words


def test_a_run_is_told_with_parameters_code_and_how_to_run_it_again(beamline: Store) -> None:
    words = Elements(report_page(beamline, "solve")).text
    commit = "1b34d1c" + "0" * 33
    for said in (
        "epochs",
        "r_factor",
        f"git checkout {commit}",
        "git apply changes.patch",
        "+lr = 3",
        "numpy==2.1",
        "export",
    ):
        assert said in words, said


def test_a_failed_run_says_why_and_what_it_is_a_part_of(beamline: Store) -> None:
    words = Elements(report_page(beamline, "export")).text
    assert "boom <script>" in words
    assert re.search(r"part of\s+solve", words)


def test_equal_stores_give_equal_pages(beamline: Store) -> None:
    assert report_page(beamline, "product/fly") == report_page(beamline, "product/fly")


def test_a_value_that_was_collected_is_said_and_the_page_is_there(beamline: Store) -> None:
    scan = beamline.resolve("scan/fly")
    for run in ("ingest", "solve", "export"):
        beamline.release(run)
    for name in ("scan/fly", "raw/fly"):
        beamline.forget(name)
    for _ in range(2):
        beamline.gc(dry_run=False, grace_seconds=0)
    with pytest.raises(NotFound):
        beamline.record(scan)
    assert "not here any more" in report_page(beamline, scan)
    assert "not here any more" in report_page(beamline, "solved/fly")
    assert "not here any more" in report_page(beamline, "solve")


def test_a_lineage_of_a_thousand_runs_is_a_small_page(store: Store, long_chain: Callable[[int], Ref]) -> None:
    last = long_chain(1000)
    page = report_page(store, last.digest)
    assert len(page) < 400_000
    assert re.search("more values, [0-9]+ more steps", page), "what is not drawn is counted"


def test_a_lineage_that_goes_in_a_circle_ends(store: Store) -> None:
    one, two = store.put_all([b"1", b"2"])
    store.add_manifest("there", inputs={"a": one}, outputs={"b": two})
    store.add_manifest("back", inputs={"a": two}, outputs={"b": one})
    assert "there" in report_page(store, one.digest)


def test_of_a_stack_one_image_is_read(store: Store) -> None:
    ref = store.put(np.zeros((64, 128, 128), np.float32), "stack")
    path = store.file(ref)
    assert path
    content = bytearray(path.read_bytes())
    content[-1] ^= 1  # of the last image
    path.chmod(0o644)
    path.write_bytes(content)
    assert "one of 64" in report_page(open_store(store.place), "stack"), "damage that is not shown is not met"


def test_nothing_by_that_name_is_one_sentence(beamline: Store) -> None:
    with pytest.raises(NotFound, match=r"neither a name, nor a digest .* nor a run"):
        report_page(beamline, "nonsense")
    beamline.put(b"x", "solve")
    with pytest.raises(Ambiguous, match="is a run and the value"):
        report_page(beamline, "solve")
    assert "epochs" in report_page(beamline, "run:solve")
    with pytest.raises(NotFound, match="no manifest of a run"):
        report_page(beamline, "run:nothing")


def test_an_odd_value_has_a_page(store: Store, tmp_path: Path) -> None:
    odd = {
        "empty": np.zeros((0, 3)),
        "nan": np.full((5, 5), np.nan),
        "inf": np.array([1.0, np.inf, -np.inf]),
        "text": np.array(["a", "b"]),
        "scalar": np.float32(3),
        "short": np.bytes_(b"ab"),
        "structure": np.zeros(3, [("a", "i4"), ("b", "f8")]),
        "rgb": np.zeros((4, 4, 3), np.uint8),
        "big": np.array([[1e308, -1e308]]),
        "deep": {"er": {"and": {"deeper": {"still": b"\xff\x00"}}}},
        "list": [[1, 2], "x", None],
        "times": np.array(["2020-01-01"], "M8[s]"),
        "long": np.arange(5000),
        "bool": np.eye(3, dtype=bool),
    }
    store.put(odd, "odd")
    store.put([1.5, 2.5, 3.5], "numbers")
    for name in ("odd", "numbers"):
        assert not Elements(report_page(store, name)).open


def test_a_run_of_the_platform_is_told_as_a_person_reads_it(store: Store) -> None:
    details = store.put({"python": "3.11.9", "packages": {"numpy": "2.1.0"}})
    arrival, made = "58242d32-0aea-40e0-b20e-c0646398c11b", "53cf63b9-80db-4769-a72e-b952e54329a3"
    raw, scan = store.put(b"0 1 2", "raw_file/fly"), store.put(np.arange(9.0), "scan/fly")
    files = [
        {"file": "fly.dat", "from": "data/raw", "key": "fly", "accepted": True, "contract": "scan/3"}
        | {"licence": "CC-BY-4.0", "source": "beamline 2-ID"},
        {"file": "bad.dat", "from": "data/raw", "key": "bad", "accepted": False, "reason": "it has no positions"},
    ]
    step = Step("raw_file/fly", outputs={"raw_file/fly": raw.digest})
    store.add_manifest(arrival, outputs=step.outputs, steps=[step], project="arrival", notes={"files": files})
    checks = [
        {"check": "is_sound", "asset": "scan/fly", "passed": True, "severity": "ERROR", "description": ""},
        {"check": "is_new", "asset": "scan/fly", "passed": False, "severity": "WARN", "description": "seen before"},
    ]
    store.add_manifest(
        made,
        inputs={"raw_file/fly": raw},
        outputs={"scan/fly": scan},
        project="ingest",
        started_at="2026-11-01T10:00:00.123+00:00",
        ended_at="2026-11-01T10:01:51.123+00:00",
        environment={"details": details.digest, "host_class": "a laptop"},
        metrics={"rows": 1 / 3},
        links={"dagster": f"https://dagster.example.org/runs/{made}"},
        notes={"checks": checks, "not_stored": []},
    )
    words = re.sub(r"\s+", " ", Elements(report_page(store, "scan/fly")).text)
    for said in (
        "Made by the run ingest 53cf63b9",
        "fly.dat",
        "CC-BY-4.0",
        "beamline 2-ID",
        "numpy==2.1.0",
        "3.11.9",
        "2026-11-01 10:00:00 UTC",
        "1 min 51 s",
        "0.333333",
        "seen before",
        f"https://dagster.example.org/runs/{made}",
    ):
        assert said in words, said
    assert details.digest not in words, "what it says stands there instead"
    assert "not_stored" not in words, "what says nothing is left out"
    of_arrival = Elements(report_page(store, arrival)).text
    assert "it has no positions" in of_arrival
    assert "CC-BY-4.0" in Elements(report_page(store, "raw_file/fly")).text
