"""A WordPiece vocabulary trained on a dataset's own texts, and texts as token numbers of one length."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from smalti.errors import Damaged, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

VOCABULARY_SIZE = 8192
PAD = "[PAD]"
_SPECIAL = (PAD, "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_wordpiece(texts: Iterable[str], vocabulary_size: int = VOCABULARY_SIZE) -> Tokenizer:
    """Return a tokenizer as BERT has it: lower case, WordPiece, ``[CLS] text [SEP]``; equal texts give equal ones.

    Source: Devlin et al. 2019, arXiv:1810.04805; the ``tokenizers`` library trains it.

    Raises:
        Refused: there is no text to learn from.
        Unavailable: the ``tokenizers`` library is not installed.
    """
    known = [text for text in texts if text.strip()]
    if not known:
        raise Refused("there is no text to train a tokenizer on; the dataset's samples give none to _tokenize.")
    try:
        from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    except ImportError as error:
        raise Unavailable(
            "the tokenizers library is not installed, so texts cannot become tokens; install it."
        ) from error
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=vocabulary_size, special_tokens=list(_SPECIAL), show_progress=False)
    tokenizer.train_from_iterator(known, trainer, length=len(known))
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
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
