"""The encoder: the same rows give the same tokenizer, known clauses one token each, and new ones never fail."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from smalti.tabular.tokens.encoding import FIRST_ID, PADDING_ID, UNKNOWN_ID, TextEncoder, learn_encoder
from smalti.tabular.tokens.numbers import FARTHEST

TEXTS = [
    f"sex {sex}, class {c}, fare {fare} pounds" for sex in ("male", "female") for c in (1, 2, 3) for fare in range(20)
]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return learn_encoder(TEXTS)


def test_the_order_of_rows_does_not_matter(encoder: TextEncoder) -> None:
    shuffled = random.Random(0).sample(TEXTS, len(TEXTS))
    again = learn_encoder(shuffled)
    assert again.tokenizer().to_str() == encoder.tokenizer().to_str()
    assert again.to_json() == encoder.to_json()


def test_a_known_clause_is_one_token_with_its_number_beside_it(encoder: TextEncoder) -> None:
    encoded = encoder.encode(["sex male, class 3, fare 19 pounds", "fare 0 pounds"])
    assert encoded.lengths.tolist() == [4, 2]
    assert encoded.ids[0] == encoded.ids[4] == FIRST_ID
    assert encoded.ids[3] == encoded.ids[5]
    assert encoded.numbers[:2].tolist() == [0, 0]
    assert encoded.numbers[2] > 0
    assert encoded.numbers[3] == pytest.approx(-encoded.numbers[5])


def test_what_is_new_is_unknown_and_a_number_far_outside_is_at_the_border(encoder: TextEncoder) -> None:
    encoded = encoder.encode(["port Q Q, fare 1e9 pounds"])
    assert encoded.ids[:2].tolist() == [FIRST_ID, UNKNOWN_ID]
    assert encoded.ids[2] > UNKNOWN_ID
    assert encoded.numbers.tolist() == [0, 0, FARTHEST]


def test_bins_of_a_number_are_one_token_where_they_are_not_told_apart() -> None:
    encoder = learn_encoder(TEXTS, bins=4)
    bins = [number for token, number in encoder.vocabulary.items() if token.startswith("fare ")]
    merged = encoder.without_bins()
    assert len(bins) == 4
    assert set(merged[bins]) == {min(bins)}
    others = np.setdiff1d(np.arange(len(merged)), bins)
    np.testing.assert_array_equal(merged[others], others)


def test_rare_clauses_are_their_words() -> None:
    texts = [f"name person {word} smith" for word in "abcdefghij"]
    encoder = learn_encoder(texts, min_count=5)
    assert {"name", "person", "smith"} <= set(encoder.vocabulary)
    known = [encoder.vocabulary[word] for word in ("name", "person")]
    assert encoder.encode(["name person zoe adams"]).ids.tolist() == [FIRST_ID, *known, UNKNOWN_ID]


def test_long_texts_are_cut_and_counted() -> None:
    encoder = learn_encoder(["a b, c d, e f"] * 3, max_length=3)
    encoded = encoder.encode(["a b, c d, e f", "a b, c d", "x" * 1_000_000, "y " * 1_000_000])
    assert encoded.lengths.tolist() == [3, 3, 2, 2]
    assert encoded.truncated == 1


def test_the_vocabulary_is_bounded_and_keeps_the_frequent() -> None:
    texts = ["often x"] * 9 + ["seldom y"] * 3
    assert list(learn_encoder(texts, max_vocabulary=4).vocabulary) == ["[PAD]", "[CLS]", "[UNK]", "often x"]


def test_clauses_that_look_like_special_tokens_are_not_special() -> None:
    encoder = learn_encoder(["[PAD]", "[CLS], [UNK]"] * 5)
    assert encoder.encode(["[PAD]"]).ids.tolist() == [FIRST_ID, UNKNOWN_ID]


def test_the_tokenizer_alone_gives_the_ids_of_clauses_without_numbers(encoder: TextEncoder) -> None:
    tokenizer = Tokenizer.from_str(encoder.tokenizer().to_str())
    text = "sex female, sex male, nothing known"
    assert tokenizer.encode(text).ids == encoder.encode([text]).ids.tolist()


def test_an_encoder_comes_back_from_json(encoder: TextEncoder) -> None:
    again = TextEncoder.from_json(encoder.to_json(), encoder.tokenizer().to_str())
    texts = [*TEXTS, "sex other, fare -5 pounds"]
    np.testing.assert_array_equal(again.encode(texts).ids, encoder.encode(texts).ids)
    np.testing.assert_array_equal(again.encode(texts).numbers, encoder.encode(texts).numbers)


@given(st.lists(st.text(max_size=40), max_size=8))
def test_any_text_is_encoded_and_padded(texts: list[str]) -> None:
    encoder = learn_encoder(texts, min_count=1, max_length=16)
    encoded = encoder.encode([*texts, "and more"])
    ids, numbers = encoded.padded(np.arange(len(encoded)), 20)
    assert ids.shape == numbers.shape == (len(texts) + 1, 20)
    for row, length in zip(ids, encoded.lengths, strict=True):
        assert 1 <= length <= 16
        assert (row[:length] != PADDING_ID).all()
        assert (row[length:] == PADDING_ID).all()
    assert np.isfinite(numbers).all()
