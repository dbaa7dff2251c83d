"""Laws of the table of codecs: it says what the codecs say of themselves, and imports no more than it takes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from smalti.codecs import CODECS
from smalti.codecs.registry import _OBJECT_CODECS, _TREE_CLASSES, _object_codec, _tree_codec


@pytest.mark.parametrize("kind", _OBJECT_CODECS)
def test_an_object_codec_is_found_by_its_kind(kind: str) -> None:
    assert _object_codec(kind).kind == kind


@pytest.mark.parametrize("type_name", _TREE_CLASSES)
def test_a_tree_codec_is_found_by_its_type_and_by_the_class_it_is_for(type_name: str) -> None:
    codec = _tree_codec(type_name)
    assert codec.type_name == type_name
    assert CODECS.is_typed(object.__new__(codec.python_type))


def test_a_class_of_the_same_name_elsewhere_is_not_taken_for_it() -> None:
    assert not CODECS.is_typed(object.__new__(type("Folder", (), {})))


def test_what_numpy_derives_from_bytes_is_an_array() -> None:
    assert CODECS.encode(np.bytes_(b"x")).header["kind"] == "array"


def test_bytes_are_encoded_without_numpy() -> None:
    program = "import sys; from smalti.codecs import CODECS; CODECS.encode(b'x'); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
