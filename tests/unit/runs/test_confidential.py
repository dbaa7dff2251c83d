"""Laws of what runs do not keep: secrets in parameters, and what opens a URL; data is kept as it is."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.runs import FlexibleDataStore, capture_flexible_data
from smalti.runs.confidential import is_secret, without_keys, without_secrets

OPENS = "s3cr3t"


def everything_kept(store: FlexibleDataStore) -> str:
    """Return all documents of the store as one text."""
    return "".join(path.read_text() for path in Path(store.store.place).rglob("*.json"))


def test_a_secret_in_a_mapping_or_a_url_is_not_in_the_manifest(store: FlexibleDataStore) -> None:
    @capture_flexible_data(store=store)
    def load(config: dict[str, Any], *urls: str) -> None:
        raise ConnectionError(f"no answer from {urls[0]}")

    config = {"lr": 0.1, "db_password": OPENS, "hubs": [{"api_key": OPENS, "name": "a"}], "max_tokens": 7}
    with pytest.raises(ConnectionError, match=OPENS):
        load(config, f"postgres://bob:{OPENS}@db/x", f"https://host/p?page=2&X-Amz-Signature={OPENS}&sig={OPENS}#a")
    assert OPENS not in everything_kept(store)
    (run,) = store.list_runs()
    hidden = {"lr": 0.1, "db_password": "***", "hubs": [{"api_key": "***", "name": "a"}], "max_tokens": 7}
    assert run.parameters["config"] == hidden
    assert run.parameters["urls_0"] == "postgres://***@db/x"
    assert run.parameters["urls_1"] == "https://host/p?page=2&X-Amz-Signature=***&sig=***#a"
    assert run.error == "ConnectionError: no answer from postgres://***@db/x"
    assert isinstance(run.notes, dict)
    assert set(run.notes["not_stored"]) == {"config.db_password", "config.hubs.0.api_key"}  # type: ignore[arg-type]


def test_the_error_of_a_run_has_no_keys(store: FlexibleDataStore) -> None:
    with pytest.raises(ValueError, match=OPENS), store.create_run("r"):
        raise ValueError(f"https://me:{OPENS}@host/ is down")
    assert store.get_run("r").error == "ValueError: https://***@host/ is down"


def test_an_exception_whose_text_raises_another_is_raised_unchanged(store: FlexibleDataStore) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @capture_flexible_data(store=store)
    def fail() -> None:
        raise Mute

    with pytest.raises(Mute):
        fail()
    (run,) = store.list_runs()
    assert (run.status, run.error) == ("failed", "Mute")


def test_a_configuration_is_parameters_by_field(store: FlexibleDataStore) -> None:
    @dataclass
    class Optimizer:
        lr: float
        api_key: str

    @dataclass
    class Config:
        optimizer: Optimizer
        layers: tuple[int, ...] = (1, 2)

    @dataclass
    class Model:
        weights: Any

    @capture_flexible_data(store=store)
    def train(config: Config, options: Namespace, model: Model) -> None:
        pass

    train(Config(Optimizer(0.1, OPENS)), Namespace(epochs=3), Model(object()))
    (run,) = store.list_runs()
    config = {"optimizer": {"lr": 0.1, "api_key": "***"}, "layers": [1, 2]}
    assert run.parameters == {"config": config, "options": {"epochs": 3}}
    assert isinstance(run.notes, dict)
    assert set(run.notes["not_stored"]) == {"config.optimizer.api_key", "model"}  # type: ignore[arg-type]


def test_data_is_kept_as_it_is_whatever_its_texts_say(store: FlexibleDataStore) -> None:
    words = [{"token": "The", "link": f"https://a.org/?key={number}"} for number in range(200)]

    @capture_flexible_data(store=store)
    def tag(words: list[dict[str, str]]) -> None:
        pass

    tag(words)
    (run,) = store.list_runs()
    assert store.retrieve_data(run.inputs["words"]) == words


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a@b?page=2",
        "git@host:x.git",
        "a note: me@host.org",
        "s3://bucket/prefix",
        "f(x) -> x@y",
        "k=v&key=1",
    ],
)
def test_text_without_keys_stays(text: str) -> None:
    assert without_keys(text) == text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "token", "password"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_only_text_that_is_called_like_a_secret_is_hidden(value: Any) -> None:
    cleared, hidden = without_secrets(value, "x")
    assert hidden or cleared == value

    def called_so(one: Any) -> int:
        if isinstance(one, dict):
            return sum(
                1 if is_secret(name) and isinstance(inner, str) and inner else called_so(inner)
                for name, inner in one.items()
            )
        return sum(map(called_so, one)) if isinstance(one, list) else 0

    assert len(hidden) == called_so(value)
    assert without_secrets(cleared, "x")[0] == cleared
