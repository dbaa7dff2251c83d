"""Texts as token ids and numbers: learned from training texts, the same rows give the same encoder.

A clause that training texts hold often enough is one token, its number taken out and kept beside it. Of other clauses
the words that occur often enough are tokens, and what is left is ``[UNK]``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smalti.canonical import Json
from smalti.tabular.tokens.clauses import SEPARATOR, clauses_of, parse, words_of
from smalti.tabular.tokens.numbers import NumberScale, learn_scale

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, FIRST, UNKNOWN = "[PAD]", "[CLS]", "[UNK]"
PADDING_ID, FIRST_ID, UNKNOWN_ID = range(3)

Tokens = tuple[tuple[int, float], ...]  # (id, number) each; the number is 0 where a token stands for none


@dataclass(frozen=True, eq=False, slots=True)
class EncodedTexts:
    """N texts as tokens, one after another.

    Attributes:
        ids: (T,) int32, each text begins with ``[CLS]``.
        numbers: (T,) float32, standardised; 0 where a token stands for no number.
        starts: (N + 1,) int64, text i is from ``starts[i]`` to ``starts[i + 1]``.
        truncated: how many texts were cut.
    """

    ids: NDArray[np.int32]
    numbers: NDArray[np.float32]
    starts: NDArray[np.int64]
    truncated: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(N,) tokens of each text."""
        return np.diff(self.starts)

    def padded(self, texts: NDArray[np.int64], length: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return ids and numbers of these texts, both (B, length), filled up with ``[PAD]`` and 0.

        Args:
            texts: (B,) indexes of texts of at most ``length`` tokens.
        """
        places = np.arange(length)
        inside = places < self.lengths[texts][:, None]
        source = np.where(inside, self.starts[texts][:, None] + places, 0)
        ids = np.where(inside, self.ids[source], PADDING_ID).astype(np.int32)
        return ids, np.where(inside, self.numbers[source], 0).astype(np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class TextEncoder:
    """Vocabulary and number scales.

    Attributes:
        vocabulary: token -> id.
        scales: of numbers, by pattern.
        max_length: tokens of a text, ``[CLS]`` included; what is beyond is cut.
    """

    vocabulary: Mapping[str, int]
    scales: Mapping[str, NumberScale]
    max_length: int
    _known: dict[str, Tokens] = field(default_factory=dict, init=False, repr=False)

    def encode(self, texts: Iterable[str]) -> EncodedTexts:
        """Return the tokens of texts."""
        ids: list[int] = []
        numbers: list[float] = []
        starts, truncated = [0], 0
        for text in texts:
            tokens = [(FIRST_ID, 0.0), *chain.from_iterable(map(self._tokens, clauses_of(text)))]
            truncated += len(tokens) > self.max_length
            ids.extend(token for token, _ in tokens[: self.max_length])
            numbers.extend(number for _, number in tokens[: self.max_length])
            starts.append(len(ids))
        return EncodedTexts(
            np.array(ids, np.int32), np.array(numbers, np.float32), np.array(starts, np.int64), truncated
        )

    def without_bins(self) -> NDArray[np.int64]:
        """Return (V,) for each token the first of its bins, or itself where it is none."""
        merged = np.arange(len(self.vocabulary))
        for pattern, scale in self.scales.items():
            bins = [self.vocabulary[piece] for piece in scale.bins(pattern) if piece in self.vocabulary]
            merged[bins] = min(bins, default=0)
        return merged

    def tokenizer(self) -> Tokenizer:
        """Return the vocabulary as a tokenizer of whole clauses, each with its number replaced as ``scales`` do."""
        from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors

        made = Tokenizer(models.WordLevel(dict(self.vocabulary), unk_token=UNKNOWN))
        made.add_special_tokens([AddedToken(token, special=True) for token in (PADDING, FIRST, UNKNOWN)])
        made.pre_tokenizer = pre_tokenizers.Split(SEPARATOR, "removed")
        made.post_processor = processors.TemplateProcessing(single=f"{FIRST} $A", special_tokens=[(FIRST, FIRST_ID)])
        made.enable_truncation(self.max_length)
        return made

    def to_json(self) -> dict[str, Json]:
        """Return what, with the JSON of ``tokenizer``, ``from_json`` makes the encoder of."""
        scales: dict[str, Json] = {pattern: scale.to_json() for pattern, scale in self.scales.items()}
        return {"number_scales": scales, "max_length": self.max_length}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any], tokenizer: str) -> TextEncoder:
        """Return the encoder of ``to_json`` and of the tokenizer's JSON text."""
        from tokenizers import Tokenizer

        scales = {pattern: NumberScale.from_json(scale) for pattern, scale in fields["number_scales"].items()}
        return cls(Tokenizer.from_str(tokenizer).get_vocab(), scales, fields["max_length"])

    def _tokens(self, clause: str) -> Tokens:
        tokens = self._known.get(clause)
        if tokens is None:
            tokens = self._tokens_of(clause)
            if len(clause) <= _REMEMBERED_LENGTH and len(self._known) < _REMEMBERED:
                self._known[clause] = tokens
        return tokens

    def _tokens_of(self, clause: str) -> Tokens:
        pattern, number = parse(clause)
        scale = self.scales.get(pattern) if number is not None else None
        if scale is not None and number is not None:
            piece = self.vocabulary.get(scale.piece(pattern, number), UNKNOWN_ID)
            return ((piece, scale.standardised(number)),)
        whole = self.vocabulary.get(clause, UNKNOWN_ID)
        if whole > UNKNOWN_ID:  # a text may hold what looks like [PAD]
            return ((whole, 0.0),)
        words = [self.vocabulary.get(word, UNKNOWN_ID) for word in words_of(clause)[: self.max_length]]
        kept = [word for i, word in enumerate(words) if word != UNKNOWN_ID or i == 0 or words[i - 1] != UNKNOWN_ID]
        return tuple((word, 0.0) for word in kept)


_REMEMBERED, _REMEMBERED_LENGTH = 200_000, 200  # clauses whose tokens are kept, and their longest, in characters


def learn_encoder(
    texts: Sequence[str],
    min_count: int = 3,
    max_distinct: int = 8,
    bins: int = 1,
    max_vocabulary: int = 20_000,
    max_length: int = 128,
) -> TextEncoder:
    """Return the encoder learned from training texts.

    Args:
        texts: of training rows only.
        min_count: rows that a clause, a word, or the pattern of a number must occur in to be a token of its own.
        max_distinct: numbers of one pattern that have a token each, if they are no more.
        bins: of numbers of one pattern that are more.
        max_vocabulary: tokens at most; the most frequent are kept.
        max_length: tokens of a text.
    """
    clauses = Counter(chain.from_iterable(map(clauses_of, texts)))
    parsed = {clause: parse(clause) for clause in clauses}
    numbers: dict[str, list[tuple[float, int]]] = {}
    for clause, (pattern, number) in parsed.items():
        if number is not None:
            numbers.setdefault(pattern, []).append((number, clauses[clause]))
    scales = {
        pattern: learn_scale(np.repeat(*map(np.array, zip(*sorted(numbers[pattern]), strict=True))), max_distinct, bins)
        for pattern in sorted(numbers)
        if sum(count for _, count in numbers[pattern]) >= min_count
    }
    pieces: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for clause, (pattern, number) in parsed.items():
        if number is not None and pattern in scales:
            pieces[scales[pattern].piece(pattern, number)] += clauses[clause]
        elif clauses[clause] >= min_count:
            pieces[clause] += clauses[clause]
        else:
            for word in set(words_of(clause)):
                words[word] += clauses[clause]
    for word, count in words.items():
        if count >= min_count:
            pieces[word] += count
    for special in (PADDING, FIRST, UNKNOWN):
        pieces.pop(special, None)
    kept = sorted(pieces, key=lambda piece: (-pieces[piece], piece))[: max_vocabulary - 3]
    vocabulary = {token: number for number, token in enumerate((PADDING, FIRST, UNKNOWN, *kept))}
    return TextEncoder(vocabulary, scales, max_length)
