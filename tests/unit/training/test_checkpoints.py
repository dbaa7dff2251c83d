"""Laws of checkpoints in folders: whole or not there, loaded to the bit, and listed best first by any metric."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx import nn
from mlx.utils import tree_flatten

from smalti import Checkpoint, open_store
from smalti.canonical import dumps
from smalti.cli import app
from smalti.errors import Damaged, NotFound, Refused, Unavailable
from smalti.training import (
    SavedCheckpoint,
    TrainingSettings,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from smalti.training.checkpoints import surplus
from smalti.training.loop import Trained, train
from tests.unit.training.tasks import Line

BEST = "experiments/run_123/checkpoints/model_best.pt"


def in_(folder: Path) -> list[str]:
    """What is in a folder beside the file that writers lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def a_model(seed: int = 0) -> nn.Module:
    mx.random.seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))


def same_weights(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(tree_flatten(first.parameters()), tree_flatten(second.parameters()), strict=True)
    return all(a[0] == b[0] and a[1].dtype == b[1].dtype and mx.array_equal(a[1], b[1]) for a, b in pairs)


def test_the_documented_call_saves_a_folder_that_is_listed_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, metrics = a_model(), {"val_loss": 0.25, "accuracy": 0.8}
    assert save_checkpoint(model, metrics, path=BEST) == Path(BEST)
    assert sorted(path.name for path in Path(BEST).iterdir()) == ["config.json", "model.safetensors", "state.json"]
    [saved] = list_checkpoints("run_123")
    assert (saved.path, saved.metrics) == (Path(BEST), metrics)
    other = a_model(seed=1)
    assert not same_weights(model, other)
    loaded = load_checkpoint(BEST, other)
    assert same_weights(model, other)
    assert (loaded.state["metrics"], loaded.config) == (metrics, {"model_type": "Sequential"})
    assert in_(Path(BEST).parent) == ["model_best.pt"]


def test_mlx_opens_the_weights_of_the_folder_as_they_are(tmp_path: Path) -> None:
    model = a_model()
    save_checkpoint(model, {}, tmp_path / "it")
    other = a_model(seed=1)
    other.load_weights(str(tmp_path / "it" / "model.safetensors"))
    assert same_weights(model, other)


def test_weights_that_mlx_wrote_are_read(tmp_path: Path) -> None:
    path, model = save_checkpoint(a_model(), {}, tmp_path / "it"), a_model(seed=2)
    (path / "model.safetensors").unlink()
    mx.save_safetensors(str(path / "model.safetensors"), dict(tree_flatten(model.parameters())))
    loaded = a_model()
    load_checkpoint(path, loaded)
    assert same_weights(model, loaded)


def test_bfloat16_an_optimizer_a_position_and_a_tokenizer_come_back(tmp_path: Path) -> None:
    model = a_model()
    model.set_dtype(mx.bfloat16)
    optimizer = optim.AdamW(1e-2)
    optimizer.update(model, model.parameters())
    position = {"seed": 3, "epoch": 2, "step": 7}
    tokenizer = '{"model": {"vocab": {"Ä": 0}}}'
    path = save_checkpoint(
        model,
        {"loss": 1},
        tmp_path / "it",
        {"why": "a test"},
        optimizer=optimizer,
        position=position,
        tokenizer=tokenizer,
    )
    names = {"config.json", "model.safetensors", "optimizer.safetensors", "state.json", "tokenizer.json"}
    assert {file.name for file in path.iterdir()} == names
    other, other_optimizer = a_model(seed=1), optim.AdamW(1.0)
    loaded = load_checkpoint(path, other, other_optimizer)
    assert same_weights(model, other)
    found, expected = (dict(tree_flatten(one.state)) for one in (other_optimizer, optimizer))
    assert found.keys() == expected.keys()
    assert all(mx.array_equal(found[name], array) for name, array in expected.items())
    assert {name: loaded.state[name] for name in position} == position
    assert (loaded.tokenizer, loaded.state["metadata"]) == (tokenizer, {"why": "a test"})


def test_a_run_is_resumed_from_folders_to_the_same_bits(tmp_path: Path) -> None:
    settings = TrainingSettings(epochs=4, batch=4, checkpoint_epochs=2)
    saved: list[Trained] = []
    straight = train(Line(), settings, save=saved.append)
    [half] = saved
    paths = [save_checkpoint(c, {}, tmp_path / name) for name, c in (("last", half.last), ("best", half.best))]
    resumed = train(Line(), settings, resume=Trained(*map(load_checkpoint, paths)))
    assert dumps(resumed.last.state) == dumps(straight.last.state)
    for name, tensor in straight.last.model.items():
        np.testing.assert_array_equal(resumed.last.model[name], tensor)


def test_an_older_checkpoint_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "best"
    save_checkpoint(a_model(), {"loss": 2.0}, path, tokenizer="{}")
    save_checkpoint(a_model(1), {"loss": 1.0}, path)
    assert load_checkpoint(path).state["metrics"] == {"loss": 1.0}
    assert in_(tmp_path) == ["best"]
    assert not (path / "tokenizer.json").exists()
    for taken in ("notes.txt", "folder/notes.txt"):
        (tmp_path / taken).parent.mkdir(exist_ok=True)
        (tmp_path / taken).write_text("mine")
        with pytest.raises(Refused, match=r"exists and is no checkpoint, so it is not replaced; name another place"):
            save_checkpoint(a_model(), {}, tmp_path / taken.split("/")[0])
        assert (tmp_path / taken).read_text() == "mine"


def test_a_checkpoint_whose_replacement_was_killed_between_the_renames_is_still_found(tmp_path: Path) -> None:
    path = save_checkpoint(a_model(), {"loss": 2.0}, tmp_path / "best")
    path.rename(tmp_path / ".best.before")
    assert load_checkpoint(path).state["metrics"] == {"loss": 2.0}
    assert [saved.path for saved in list_checkpoints(tmp_path)] == [path]
    save_checkpoint(a_model(), {"loss": 1.0}, path)
    assert in_(tmp_path) == ["best"]


SAVING = """
import sys, numpy as np
from smalti.training import save_checkpoint
for n in range(10**6):
    save_checkpoint({"w": np.full(1 << 14, n)}, {"loss": float(n)}, sys.argv[1])
    print(n, flush=True)
"""


@pytest.mark.parametrize("told", [1, 2, 5, 11])
def test_a_writer_killed_at_any_moment_leaves_a_whole_checkpoint(disk_path: Path, told: int) -> None:
    path = disk_path / "best"
    with subprocess.Popen([sys.executable, "-c", SAVING, path], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [int(line) for line in islice(writer.stdout, told)]
        writer.kill()
        acknowledged += [int(line) for line in writer.stdout]
    found = load_checkpoint(path)
    assert found.state["metrics"]["loss"] in {acknowledged[-1], acknowledged[-1] + 1}
    assert (found.model["w"] == found.state["metrics"]["loss"]).all()
    assert [saved.path for saved in list_checkpoints(disk_path)] == [path]


def test_what_cannot_be_written_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    path = save_checkpoint(a_model(), {"loss": 2.0}, tmp_path / "best")
    with pytest.raises(Refused, match=r"metrics"):
        save_checkpoint(a_model(), {"loss": float("nan")}, path)
    with pytest.raises(Refused, match=r"the metric 'loss' is a list; give one number"):
        save_checkpoint(a_model(), {"loss": [1.0]}, path)  # type: ignore[dict-item]
    with pytest.raises(Refused, match=r"the metrics are a list; give numbers by name"):
        save_checkpoint(a_model(), [1.0], path)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"a int has no weights; give an MLX module"):
        save_checkpoint(5, {"loss": 1.0}, path)  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"a whole checkpoint brings its own optimizer, config"):
        save_checkpoint(load_checkpoint(path), {}, path, tokenizer="{}")
    program = (
        "import resource, sys, numpy as np\nfrom smalti.training import save_checkpoint\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, 1 << 14))\n"
        "save_checkpoint({'w': np.ones(1 << 20)}, {'loss': 0.0}, sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert "smalti.errors.Unavailable: could not finish saving the checkpoint" in done.stderr, done.stderr
    assert issubclass(Unavailable, OSError)
    assert load_checkpoint(path).state["metrics"] == {"loss": 2.0}
    assert in_(tmp_path) == ["best"]


@pytest.mark.parametrize(
    ("metric", "higher", "order"),
    [("loss", None, "bca"), ("accuracy", None, "acb"), ("reward", True, "acb"), ("reward", False, "bca")],
)
def test_checkpoints_are_listed_best_first_in_the_direction_of_the_metric(
    tmp_path: Path, metric: str, higher: bool | None, order: str
) -> None:
    for name, value in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        save_checkpoint({"w": np.ones(2)}, {metric: value}, tmp_path / name)
    listed = list_checkpoints(tmp_path, metric, higher_is_better=higher)
    assert [saved.path.name for saved in listed] == list(order)
    best = list_checkpoints(tmp_path, metric, n_best=2, higher_is_better=higher)
    assert [saved.path.name for saved in best] == list(order[:2])


def test_without_a_metric_the_newest_comes_first_and_what_lacks_the_metric_comes_last(tmp_path: Path) -> None:
    for name, metrics in (("a", {"loss": 1.0}), ("b", {}), ("c", {"loss": 2.0}), ("d", {"f1": 1.0})):
        save_checkpoint({"w": np.ones(2)}, metrics, tmp_path / name)
    assert [saved.path.name for saved in list_checkpoints(tmp_path)] == ["d", "c", "b", "a"]
    assert [saved.path.name for saved in list_checkpoints(tmp_path, "loss")] == ["a", "c", "d", "b"]
    assert [saved.path.name for saved in list_checkpoints(tmp_path, "loss", n_best=4)] == ["a", "c"]


def test_what_cannot_be_answered_is_refused_and_says_what_could(tmp_path: Path) -> None:
    save_checkpoint({"w": np.ones(2)}, {"reward": 1.0}, tmp_path / "a")
    with pytest.raises(Refused, match=r"'reward' does not say whether more is better; give higher_is_better=True or"):
        list_checkpoints(tmp_path, "reward")
    with pytest.raises(NotFound, match=r"has the metric 'loss'; there are reward"):
        list_checkpoints(tmp_path, "loss")
    with pytest.raises(Refused, match=r"n_best was given without a metric to be best by; name one"):
        list_checkpoints(tmp_path, n_best=1)
    with pytest.raises(Refused, match=r"n_best is -1; give 1 or more"):
        list_checkpoints(tmp_path, "reward", n_best=-1, higher_is_better=True)
    with pytest.raises(Refused, match=r"keep_last is -1 and keep_best 1; give 0 or more"):
        prune_checkpoints(tmp_path, keep_last=-1)
    with pytest.raises(NotFound, match=r"there is no folder experiments/run_9/checkpoints; name an experiment"):
        list_checkpoints("run_9")
    with pytest.raises(NotFound, match=r"there is no checkpoint at .*b; list_checkpoints\("):
        load_checkpoint(tmp_path / "b")
    (tmp_path / "old.pt").write_bytes(b"\x80\x02")
    with pytest.raises(Refused, match=r"old.pt is a file, but a checkpoint is a folder; PyTorch's"):
        load_checkpoint(tmp_path / "old.pt")
    with pytest.raises(Refused, match=r"holds no optimizer state"):
        load_checkpoint(tmp_path / "a", optimizer=optim.SGD(1.0))
    with pytest.raises(Refused, match=r"the weights are not those of this Sequential"):
        load_checkpoint(tmp_path / "a", a_model())


def test_listing_reads_no_weights_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    for name in "abc":
        save_checkpoint({"w": np.ones(2)}, {"loss": 1.0}, tmp_path / name)
    for name in "ab":
        (tmp_path / name / "model.safetensors").unlink()
    broken = tmp_path / "b" / "state.json"
    broken.unlink()
    broken.write_text('{"metrics": {"loss": ')
    (tmp_path / "unrelated").mkdir()
    with pytest.warns(UserWarning, match=r"b is left out of the list: .*state.json is no JSON document"):
        listed = list_checkpoints(tmp_path, "loss")
    assert {saved.path.name for saved in listed} == {"a", "c"}
    with pytest.raises(Damaged, match=r"a is no whole checkpoint: it lacks model.safetensors; restore it"):
        load_checkpoint(tmp_path / "a")


@pytest.mark.parametrize("kept_nbytes", [0, 5, 100, 4099])
def test_weights_that_were_cut_are_named(tmp_path: Path, kept_nbytes: int) -> None:
    path = save_checkpoint({"w": np.ones(2)}, {}, tmp_path / "it")
    content = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").unlink()
    (path / "model.safetensors").write_bytes(content[:kept_nbytes])
    with pytest.raises(Damaged, match=r"model.safetensors is no whole safetensors file .*; restore it"):
        load_checkpoint(path)


def test_a_checkpoint_out_of_the_store_is_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(
        {"w": np.ones(2, "f4")}, {"step": np.array(7, "u8")}, {"model_type": "m"}, {"epoch": 3}, tokenizer="{}"
    )
    store = open_store(tmp_path / "store")
    ref = store.put(checkpoint, "trained")
    monkeypatch.chdir(tmp_path)
    app(["get", "trained", "-o", "out", "--store", "store"], standalone_mode=False)
    back = load_checkpoint(tmp_path / "out")
    assert store.put(back).digest == ref.digest
    assert json.loads((tmp_path / "out" / "state.json").read_text()) == {"epoch": 3}


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for number, loss in enumerate([3.0, 1.0, 2.0, 4.0, 5.0]):
        save_checkpoint({"w": np.ones(2)}, {"loss": loss}, tmp_path / str(number))
    removed = prune_checkpoints(tmp_path, keep_last=2, metric="loss")
    assert {path.name for path in removed} == {"0", "2"}
    assert in_(tmp_path) == ["1", "3", "4"]
    assert prune_checkpoints(tmp_path, keep_last=2, metric="loss") == []
    shutil.rmtree(tmp_path / "1")
    assert {path.name for path in prune_checkpoints(tmp_path, keep_last=1)} == {"3"}


@given(st.lists(st.none() | st.integers(0, 5), max_size=8), st.integers(0, 4), st.integers(0, 3), st.booleans())
def test_nothing_that_goes_is_better_or_newer_than_what_stays(losses, keep_last, keep_best, more) -> None:
    saved = [SavedCheckpoint(Path(str(n)), {} if v is None else {"m": v}) for n, v in enumerate(losses)]
    gone = surplus(saved, keep_last, "m", keep_best, more)
    stays = [one for one in saved if one not in gone]
    assert stays[: min(keep_last, len(saved))] == saved[:keep_last]
    assert len(stays) <= keep_last + keep_best
    worth = [one.metrics["m"] * (1 if more else -1) for one in gone if "m" in one.metrics]
    assert sum(one.metrics.get("m") is not None for one in stays) >= min(keep_best, sum(v is not None for v in losses))
    if worth and keep_best:
        best = sorted((one.metrics["m"] * (1 if more else -1) for one in saved if "m" in one.metrics), reverse=True)
        assert max(worth) <= best[keep_best - 1]
