"""A vocabulary trained on texts, and texts of one length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smalti.datasets.competitions.wordpiece import encode, read_tokenizer, train_wordpiece
from smalti.errors import Damaged, NotFound, Refused

TEXTS = [f"passenger {n} of class {n % 3}, age {n * 7 % 80}, paid {n * 1.7:.2f}" for n in range(300)]
PROGRAM = f"""
from smalti.datasets.competitions.wordpiece import train_wordpiece
import hashlib
texts = [f"passenger {{n}} of class {{n % 3}}, age {{n * 7 % 80}}, paid {{n * 1.7:.2f}}" for n in range({len(TEXTS)})]
print(hashlib.sha256(train_wordpiece(texts).to_str().encode()).hexdigest())
"""


def test_equal_texts_give_equal_tokenizers_in_every_process() -> None:
    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed}
        command = [sys.executable, "-c", PROGRAM]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    digests = {digest(seed) for seed in ("1", "2", "3")}
    assert len(digests) == 1


@given(st.text(max_size=80), st.integers(2, 40))
def test_every_text_becomes_two_lists_of_the_length_asked_for(text: str, length: int) -> None:
    tokens = encode(TOKENIZER, text, length)
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    assert len(ids) == len(mask) == length
    used = sum(mask)
    assert mask == [1] * used + [0] * (length - used)
    assert ids[0] == TOKENIZER.token_to_id("[CLS]")
    assert ids[used - 1] == TOKENIZER.token_to_id("[SEP]"), "a text that is cut off keeps its end"
    assert set(ids[used:]) <= {TOKENIZER.token_to_id("[PAD]")}


def test_a_known_text_is_read_back_from_its_tokens() -> None:
    ids = encode(TOKENIZER, TEXTS[5], 64)["input_ids"]
    assert TOKENIZER.decode(ids).replace(" ", "") == TEXTS[5].replace(" ", "")


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_no_text_is_refused(texts: list[str]) -> None:
    with pytest.raises(Refused, match="no text to train a tokenizer on"):
        train_wordpiece(texts)


def test_a_tokenizer_file_is_read_or_told_why_not(tmp_path: Path) -> None:
    TOKENIZER.save(str(tmp_path / "good.json"))
    assert read_tokenizer(tmp_path / "good.json").to_str() == TOKENIZER.to_str()
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(Damaged, match=r"not a tokenizer\.json"):
        read_tokenizer(tmp_path / "bad.json")
    with pytest.raises(NotFound, match="no tokenizer at"):
        read_tokenizer(tmp_path / "none.json")


TOKENIZER = train_wordpiece(TEXTS)
