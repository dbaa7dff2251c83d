"""Laws of documents in a bucket that change: one writer wins, a lost reply is found out, a lying server refused."""

from __future__ import annotations

import pytest

from smalti.errors import NotFound, Refused
from smalti.store.documents import Documents

KEY, OLD, NEW = "manifests/run.json", b"old", b"new"
MOTO = pytest.mark.parametrize("server", ["moto"], indirect=True)  # a real one has the condition signed


@pytest.fixture
def documents(wire, documents: Documents) -> Documents:
    assert documents.create(KEY, OLD)
    return documents


def test_a_document_is_replaced_only_where_it_is_what_was_read(documents: Documents) -> None:
    assert not documents.replace(KEY, NEW, b"something else")
    assert documents.read(KEY) == OLD
    assert documents.replace(KEY, NEW, OLD)
    assert not documents.replace(KEY, b"newer", OLD)
    assert documents.read(KEY) == NEW
    assert not documents.replace("manifests/none.json", NEW, OLD)
    with pytest.raises(NotFound):
        documents.read("manifests/none.json")


def test_a_replacement_whose_reply_is_lost_is_known_to_be_ours(wire, documents: Documents) -> None:
    assert documents.replace(KEY, b"first", OLD)  # the server has shown that it honours the condition
    wire.harm("PUT", KEY, after=wire.lose_reply)
    assert documents.replace(KEY, NEW, b"first")
    assert documents.read(KEY) == NEW


@MOTO
def test_a_server_that_ignores_the_condition_is_refused_and_the_document_is_as_it_was(
    wire, documents: Documents
) -> None:
    wire.harm("PUT", KEY, times=1e9, before=lambda exchange: exchange.headers.pop("if-match", None))
    with pytest.raises(Refused, match=r"ignores If-Match, so manifests/run\.json cannot be changed safely"):
        documents.replace(KEY, NEW, OLD)
    assert documents.read(KEY) == OLD


@MOTO
def test_a_server_that_compares_etags_without_quotes_is_understood(wire, documents: Documents) -> None:
    def as_a_rados_gateway(exchange) -> None:
        if '"' in exchange.headers.get("if-match", ""):
            wire.answer(412, "PreconditionFailed")(exchange)

    wire.harm("PUT", KEY, times=1e9, before=as_a_rados_gateway)
    assert documents.replace(KEY, NEW, OLD)
    assert documents.read(KEY) == NEW
