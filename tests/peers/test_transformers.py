"""BERT folders of the real ``transformers``: what it wrote we compute alike; what we write it opens and computes."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from smalti.errors import Refused
from smalti.models.bert import BertModel
from smalti.models.huggingface import load_pretrained, save_pretrained

PEERS = os.environ.get("SMALTI_TEST_PEERS")
SCRIPT = Path(__file__).with_name("transformers_folders.py")
CASES = (
    "model", "twelve_layers", "sharded", "two_labels", "five_labels", "regression", "masked_words", "bfloat16",
    "float16", "old_names", "no_prefix",
)  # fmt: skip
CLOSE = 1e-5

pytestmark = pytest.mark.skipif(not PEERS, reason="SMALTI_TEST_PEERS does not name a Python that has transformers")


def transformers_does(what: str, folder: Path) -> str:
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(PEERS), "-W", "ignore", str(SCRIPT), what, str(folder)]
    return subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each case, with what transformers wrote and computed in it."""
    made: Path = tmp_path_factory.mktemp("transformers")
    transformers_does("make", made)
    return made


@pytest.fixture(scope="module")
def opened(folder: Path) -> dict[str, Any]:
    """What transformers says of the folders that we wrote of what we read."""
    for case in CASES:
        model, tokenizer = load_pretrained(folder / case / "theirs")
        save_pretrained(model, tokenizer, folder / case / "ours")
    told: dict[str, Any] = json.loads(transformers_does("open", folder).splitlines()[-1])
    return told


def arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as content:
        return dict(content)


def our_outputs(folder: Path) -> dict[str, Any]:
    model, _ = load_pretrained(folder / "theirs")
    inputs = {name: mx.array(array) for name, array in arrays(folder / "inputs.npz").items()}
    found: dict[str, Any] = {}
    for said, out in (("", model(**inputs)), ("_bare", model(inputs["input_ids"]))):
        if isinstance(model, BertModel):
            found |= {f"last_hidden_state{said}": out[0], f"pooler_output{said}": out[1]}
        else:
            found[f"logits{said}"] = out
    return found


@pytest.mark.parametrize("case", CASES)
def test_outputs_are_those_of_transformers(folder: Path, case: str) -> None:
    theirs, ours = arrays(folder / case / "made.npz"), our_outputs(folder / case)
    assert theirs.keys() == ours.keys()
    for name, expected in theirs.items():
        assert np.std(expected) > 1e-2, "outputs that are all alike prove nothing"
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=CLOSE, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_transformers_opens_what_we_write_and_nothing_is_missing_or_left_over(
    folder: Path, opened: dict[str, Any], case: str
) -> None:
    assert opened[case]["wrong"] == {}
    assert opened[case]["changed"] == []
    assert opened[case]["class"] == "BertModel"
    before, after = arrays(folder / case / "made.npz"), arrays(folder / case / "opened.npz")
    assert before.keys() == after.keys()
    for name, expected in before.items():
        np.testing.assert_allclose(after[name], expected, rtol=0, atol=1e-6, err_msg=name)


def test_labels_and_tokenizer_arrive_in_transformers(opened: dict[str, Any]) -> None:
    assert list(opened["five_labels"]["labels"].values()) == ["none", "low", "middle", "high", "all"]
    assert list(opened["regression"]["labels"]) == ["0"]
    assert opened["model"]["tokens"] == [5, 6, 8, 7, 9]


def test_a_new_classifier_goes_on_the_encoder_of_a_masked_language_model(folder: Path) -> None:
    theirs = folder / "masked_words" / "theirs"
    masked, (classifier, _) = load_pretrained(theirs)[0], load_pretrained(theirs, new_labels=["no", "yes"])
    inputs = {name: mx.array(array) for name, array in arrays(folder / "masked_words" / "inputs.npz").items()}
    np.testing.assert_array_equal(masked.encoder(**inputs), classifier.encoder(**inputs))
    assert classifier(**inputs).shape == (5, 2)


def test_without_its_pooler_a_plain_model_is_refused(folder: Path, tmp_path: Path) -> None:
    theirs = folder / "masked_words" / "theirs"
    config = json.loads((theirs / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "architectures": ["BertModel"]}))
    (tmp_path / "model.safetensors").symlink_to(theirs / "model.safetensors")
    with pytest.raises(Refused, match=r"lack bert\.pooler\.dense\.weight, bert\.pooler\.dense\.bias; give"):
        load_pretrained(tmp_path)
