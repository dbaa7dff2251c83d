"""Folders of a published BERT: saved and loaded they are equal, and what is no such folder is refused by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx.utils import tree_flatten

from smalti.errors import ContractBroken, NotFound, Refused, Unavailable
from smalti.models.bert import BertConfig, build
from smalti.models.huggingface import config_json, config_of, load_pretrained, save_pretrained

SMALL = BertConfig(
    vocab_size=20,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=24,
    max_position_embeddings=12,
)
CLASSIFIER = replace(SMALL, architecture="BertForSequenceClassification", labels=("low", "middle", "high"))
CONFIGS = {
    "model": SMALL,
    "classifier": CLASSIFIER,
    "regression": replace(CLASSIFIER, labels=("price",), problem_type="regression", hidden_act="relu"),
    "masked": replace(SMALL, architecture="BertForMaskedLM", classifier_dropout=0.3),
}
TOKENIZER = json.dumps({"model": {"vocab": {"[PAD]": 0, "ship": 19}}, "added_tokens": [{"id": 1}]})
FILES = {"config.json", "model.safetensors", "tokenizer.json"}


def built(config: BertConfig) -> Any:
    mx.random.seed(3)
    return build(config)


def weights(model: Any) -> dict[str, mx.array]:
    return dict(tree_flatten(model.parameters()))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a classifier of three labels."""
    save_pretrained(built(CLASSIFIER), TOKENIZER, tmp_path / "bert")
    return tmp_path / "bert"


def tensors(folder: Path) -> dict[str, mx.array]:
    loaded: Any = mx.load(str(folder / "model.safetensors"))
    return dict(loaded)


def rewrite(folder: Path, changed: dict[str, mx.array], name: str = "model.safetensors") -> None:
    """Write weights as another program would."""
    (folder / name).unlink(missing_ok=True)
    mx.save_safetensors(str(folder / name), changed, metadata={"format": "pt"})


def reconfigure(folder: Path, **entries: Any) -> None:
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **entries}
    path.unlink()
    path.write_text(json.dumps({name: entry for name, entry in config.items() if entry != "gone"}))


@pytest.mark.parametrize("name", CONFIGS)
def test_saved_and_loaded_a_model_is_equal(name: str, tmp_path: Path) -> None:
    model, folder = built(CONFIGS[name]), tmp_path / "new" / "bert"
    save_pretrained(model, TOKENIZER, folder)
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in folder.parent.iterdir()} == {"bert"}
    again, tokenizer = load_pretrained(folder)
    assert tokenizer == TOKENIZER
    assert (type(again), again.config.architecture) == (type(model), model.config.architecture)
    before, after = weights(model), weights(again)
    assert before.keys() == after.keys()
    for weight, array in before.items():
        np.testing.assert_array_equal(after[weight], array)
    assert not again.training


@pytest.mark.parametrize("name", CONFIGS)
def test_a_configuration_survives_its_json(name: str) -> None:
    config = CONFIGS[name]
    assert config_of(json.loads(json.dumps(config_json(config)))) == config


def test_the_weights_have_the_names_of_transformers(saved: Path) -> None:
    names = set(tensors(saved))
    assert {"bert.embeddings.word_embeddings.weight", "bert.pooler.dense.bias", "classifier.weight"} < names
    assert "bert.encoder.layer.1.attention.self.key.weight" in names
    assert not any("qkv" in name for name in names)


def test_queries_keys_and_values_are_stacked_in_this_order(saved: Path) -> None:
    stacked = weights(load_pretrained(saved)[0])["encoder.layers.1.attention.qkv.weight"]
    parts = [tensors(saved)[f"bert.encoder.layer.1.attention.self.{m}.weight"] for m in ("query", "key", "value")]
    np.testing.assert_array_equal(stacked, mx.concatenate(parts))


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_narrow_weights_become_the_same_numbers_in_float32(saved: Path, dtype: mx.Dtype) -> None:
    narrow = {name: array.astype(dtype) for name, array in tensors(saved).items()}
    rewrite(saved, narrow)
    loaded = weights(load_pretrained(saved)[0])
    assert {array.dtype for array in loaded.values()} == {mx.float32}
    np.testing.assert_array_equal(loaded["classifier.weight"], narrow["classifier.weight"].astype(mx.float32))


def test_quantized_weights_are_refused(saved: Path) -> None:
    whole = tensors(saved)
    rewrite(saved, {**whole, "classifier.weight": whole["classifier.weight"].astype(mx.int8)})
    with pytest.raises(Refused, match=r"classifier\.weight is int8; give weights that are not quantized"):
        load_pretrained(saved)


def test_shards_are_read_by_their_index(saved: Path) -> None:
    expected = weights(load_pretrained(saved)[0])
    whole = tensors(saved)
    shard_of = {name: f"model-{1 + number % 2}-of-2.safetensors" for number, name in enumerate(sorted(whole))}
    (saved / "model.safetensors").unlink()
    for shard in set(shard_of.values()):
        rewrite(saved, {name: whole[name] for name in whole if shard_of[name] == shard}, shard)
    index = saved / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": shard_of}))
    for name, array in weights(load_pretrained(saved)[0]).items():
        np.testing.assert_array_equal(array, expected[name])

    index.write_text(json.dumps({"weight_map": {**shard_of, "classifier.extra": "model-1-of-2.safetensors"}}))
    with pytest.raises(Refused, match=r"places classifier\.extra in shards that lack it"):
        load_pretrained(saved)
    for outside in ("../bert/model-1-of-2.safetensors", "/etc/passwd", ""):
        index.write_text(json.dumps({"weight_map": {"classifier.bias": outside}}))
        with pytest.raises(Refused, match="does not say which file of its folder"):
            load_pretrained(saved)


def test_files_may_be_links_as_in_the_cache_of_hugging_face(saved: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in FILES:
        (snapshot / name).symlink_to(saved / name)
    assert weights(load_pretrained(snapshot)[0]).keys() == weights(load_pretrained(saved)[0]).keys()


def test_old_names_mean_the_same(saved: Path) -> None:
    old = {}
    for name, array in tensors(saved).items():
        bare = name.removeprefix("bert.")
        old[bare.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")] = array
    expected = weights(load_pretrained(saved)[0])
    rewrite(saved, {**old, "embeddings.position_ids": mx.arange(12)[None]})
    for name, array in weights(load_pretrained(saved)[0]).items():
        np.testing.assert_array_equal(array, expected[name])


def test_a_decoder_of_its_own_is_refused_and_a_copy_is_not(tmp_path: Path) -> None:
    save_pretrained(built(CONFIGS["masked"]), None, tmp_path / "bert")
    whole = tensors(tmp_path / "bert")
    words = whole["bert.embeddings.word_embeddings.weight"]
    bias = {"cls.predictions.decoder.bias": whole.pop("cls.predictions.bias") + 1}
    rewrite(tmp_path / "bert", {**whole, **bias, "cls.predictions.decoder.weight": words})
    model, tokenizer = load_pretrained(tmp_path / "bert")
    np.testing.assert_array_equal(weights(model)["bias"], bias["cls.predictions.decoder.bias"])
    assert tokenizer is None
    rewrite(tmp_path / "bert", {**whole, **bias, "cls.predictions.decoder.weight": words + 1})
    with pytest.raises(Refused, match=r"decoder\.weight differs from embeddings\.word_embeddings\.weight"):
        load_pretrained(tmp_path / "bert")


def test_a_new_classifier_keeps_encoder_and_pooler(saved: Path) -> None:
    before = weights(load_pretrained(saved)[0])
    reconfigure(saved, problem_type="single_label_classification")  # of the old classifier
    model, _ = load_pretrained(saved, new_labels=["price"])
    assert model.config == replace(CLASSIFIER, labels=("price",))
    for name, array in weights(model).items():
        if name.startswith("classifier."):
            assert array.shape[0] == 1
        else:
            np.testing.assert_array_equal(array, before[name])


def test_a_pickle_is_refused_with_the_way_to_convert_it(saved: Path) -> None:
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    with pytest.raises(Refused, match=r"pickle \(pytorch_model\.bin\).*write it again with save_pretrained"):
        load_pretrained(saved)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_not_there_is_not_found(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(NotFound, match=name):
        load_pretrained(saved)
    with pytest.raises(NotFound, match="nowhere"):
        load_pretrained(saved / "nowhere")


def test_a_file_cut_short_is_named(saved: Path) -> None:
    content = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").unlink()
    (saved / "model.safetensors").write_bytes(content[:-10])
    with pytest.raises(ContractBroken, match=r"model\.safetensors"):
        load_pretrained(saved)


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe"])
def test_a_configuration_that_is_no_mapping_is_refused(saved: Path, content: bytes) -> None:
    (saved / "config.json").unlink()
    (saved / "config.json").write_bytes(content)
    with pytest.raises(Refused, match=r"config\.json is .*; download the folder again"):
        load_pretrained(saved)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"model_type": "roberta"}, "model_type 'roberta'; give the folder of a model of type 'bert'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type 'relative_key', which is not supported"),
        ({"is_decoder": True}, "is_decoder True, which is not supported"),
        ({"quantization_config": {"bits": 4}}, "quantization_config .* not supported"),
        ({"pruned_heads": {"0": [1]}}, "pruned_heads .* not supported"),
        ({"auto_map": {"AutoModel": "model.Bert"}}, "auto_map .* not supported"),
        ({"norm": "pre"}, "norm 'pre', which is not supported"),
        ({"hidden_act": "mish"}, "hidden_act of BERT is 'mish'"),
        ({"architectures": ["BertForPreTraining"]}, "there are BertModel, .*, or give new_labels"),
        ({"architectures": ["BertForMaskedLM"], "tie_word_embeddings": False}, "tie_word_embeddings false"),
        ({"id2label": {"0": "a", "2": "b"}}, "give a label for each number from 0"),
        ({"hidden_size": 32}, r"word_embeddings\.weight is of shape \(20, 16\), and config\.json says \(20, 32\)"),
        ({"num_hidden_layers": 3}, r"lack bert\.encoder\.layer\.2\..* and 12 more"),
        ({"num_hidden_layers": 1}, r"encoder\.layer\.1\..* belongs to no BertForSequenceClassification"),
        ({"vocab_size": 19}, r"token id 19, and the model embeds 19 tokens"),
    ],
)
def test_what_is_not_supported_or_does_not_fit_is_refused(saved: Path, entries: dict[str, Any], words: str) -> None:
    reconfigure(saved, **entries)
    with pytest.raises(Refused, match=words):
        load_pretrained(saved)


def test_what_computes_nothing_is_ignored_and_labels_are_counted(saved: Path) -> None:
    reconfigure(saved, id2label="gone", num_labels=3, use_cache=True, transformers_version="4.0", pooler_type="first")
    assert load_pretrained(saved)[0].config.labels == ("LABEL_0", "LABEL_1", "LABEL_2")


@pytest.mark.parametrize("own", [{"norm": "pre"}, {"pooling": "mean"}, {"number_values": True}])
def test_what_transformers_has_not_is_not_written_for_it(own: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(Refused, match="none that transformers has"):
        save_pretrained(built(replace(CLASSIFIER, **own)), TOKENIZER, tmp_path / "bert")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_no_foreign_tokenizer_written(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="exists already; name another place"):
        save_pretrained(built(CLASSIFIER), TOKENIZER, saved)
    for text, words in ((TOKENIZER.replace("19", "20"), "token id 20"), ("{}", "no tokenizer"), ("x", "no tokenizer")):
        with pytest.raises(Refused, match=words):
            save_pretrained(built(CLASSIFIER), text, tmp_path / "other")


def test_a_place_that_cannot_be_written_is_unavailable_and_left_clean(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="saving to"):
        save_pretrained(built(CLASSIFIER), TOKENIZER, tmp_path / "file" / "bert")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
