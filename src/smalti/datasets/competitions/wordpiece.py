"""A WordPiece vocabulary trained on a dataset's own texts, and texts as token numbers of one length."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.errors import Damaged, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY_SIZE = 8192
PAD = "[PAD]"
_MOST_CHARACTERS = 1000  # of an alphabet, as the trainer has it by default
_SPECIAL = (PAD, "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> Tokenizer:
    """Return a tokenizer as BERT has it: lower case, WordPiece, ``[CLS] text [SEP]``; equal texts give equal ones.

    Source: Devlin et al. 2019, arXiv:1810.04805; the ``tokenizers`` library trains it.

    Raises:
        Refused: there is no text to learn from.
        Unavailable: the ``tokenizers`` library is not installed.
    """
    try:
        from tokenizers import normalizers, pre_tokenizers
    except ImportError as error:
        raise Unavailable(
            "the tokenizers library is not installed, so texts cannot become tokens; install it."
        ) from error
    normalizer, splitter = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    if not words:
        raise Refused("there is no text to train a tokenizer on; the dataset's samples give none to _tokenize.")
    return _with_vocabulary(_vocabulary(words, vocabulary_size))


def _vocabulary(words: Counter[str], size: int) -> dict[str, int]:
    """Return token -> id, the same for equal words.

    The library numbers ``##a``, ``##b``, ... in the order of a hash table that differs from run to run, and these
    numbers decide between merges of equal count. Given as special tokens they have the numbers of their order here.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    counts: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            counts[character] += count
    alphabet = {c for c, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_CHARACTERS]}
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*_SPECIAL, *sorted(alphabet), *(f"##{c}" for c in sorted(alphabet))],
        show_progress=False,
    )
    learning = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learning.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    spelled = sorted(word for word in words if alphabet.issuperset(word))
    learning.train_from_iterator((f"{word} " * words[word] for word in spelled), trainer)
    return learning.get_vocab()


def _with_vocabulary(vocabulary: dict[str, int]) -> Tokenizer:
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in _SPECIAL])
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """Return the tokenizer of a ``tokenizer.json``.

    Raises:
        NotFound: there is no such file.
        Damaged: it is not what the ``tokenizers`` library writes.
        Refused: it has no ``[PAD]``, so that texts cannot be given one length.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise NotFound(f"there is no tokenizer at {path}; give the path of a tokenizer.json, or 'wordpiece'.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise Damaged(f"{path} is not a tokenizer.json that can be read ({error}); write it again.") from error
    if tokenizer.token_to_id(PAD) is None:
        raise Refused(f"the tokenizer at {path} has no {PAD} token; add it, it fills texts up to one length.")
    return tokenizer


def encode(tokenizer: Tokenizer, text: str, length: int) -> dict[str, list[int]]:
    """Return ``input_ids`` and ``attention_mask``, each of ``length`` integers: cut off, or filled up with [PAD] and 0.

    The special tokens at both ends stay when a text is cut off.
    """
    room = max(length - tokenizer.num_special_tokens_to_add(is_pair=False), 0)
    encoded = tokenizer.encode(text, add_special_tokens=False)
    encoded.truncate(room)
    framed = tokenizer.post_process(encoded)
    pad = tokenizer.token_to_id(PAD)
    assert pad is not None
    ids = framed.ids + [pad] * (length - len(framed.ids))
    return {"input_ids": ids, "attention_mask": [1] * len(framed.ids) + [0] * (length - len(framed.ids))}
