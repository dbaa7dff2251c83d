"""Laws of going on: from any step, with other workers, the rest of the epoch is what it would have been."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smalti import open_store
from smalti.errors import Refused
from smalti.loaders import MLXDataLoader, MLXLoaderConfig

pytestmark = pytest.mark.filterwarnings("ignore:the last step of an epoch has")


def loader(count: int, **config: Any) -> MLXDataLoader:
    return MLXDataLoader({"x": np.arange(count)}, MLXLoaderConfig(**config))


def rows(batches: Any) -> list[list[int]]:
    return [batch["x"].tolist() for batch in batches]


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 60),
    batch=st.integers(1, 9),
    steps=st.integers(0, 30),
    workers=st.tuples(st.sampled_from([0, 1, 3]), st.sampled_from([0, 2, "auto"])),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
)
def test_a_resumed_run_gives_what_an_uninterrupted_one_gives(
    count: int, batch: int, steps: int, workers: tuple[Any, Any], drop_last: bool, shuffle: bool
) -> None:
    config = {"batch_size": batch, "drop_last": drop_last, "shuffle": shuffle, "seed": 2}
    whole = loader(count, **config, num_workers=0)
    epochs = [rows(whole.numpy()) for _ in range(3)]
    interrupted = loader(count, **config, num_workers=workers[0], prefetch_size=4)
    list(interrupted.numpy())
    done = 0
    for _ in interrupted.numpy():
        done += 1
        if done == steps:
            break
    state = json.loads(json.dumps(interrupted.state_dict()))
    resumed = loader(count, **config, num_workers=workers[1])
    resumed.load_state_dict(state)
    if done == steps:  # else the epoch had ended, and the next one begins
        assert rows(resumed.numpy()) == epochs[1][done:]
    assert rows(resumed.numpy()) == epochs[2]


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 60),
    before=st.tuples(st.integers(1, 6), st.integers(1, 4)),
    after=st.tuples(st.integers(1, 6), st.integers(1, 4)),
    steps=st.integers(0, 8),
)
def test_other_ranks_go_on_without_loss_or_repetition(
    count: int, before: tuple[int, int], after: tuple[int, int], steps: int
) -> None:
    def ranks(batch: int, world: int) -> list[MLXDataLoader]:
        config = {"batch_size": batch, "world_size": world, "num_workers": 0}
        return [MLXDataLoader({"x": np.arange(count)}, MLXLoaderConfig(rank=rank, **config)) for rank in range(world)]

    seen, states = [], []
    for one in ranks(*before):
        batches = one.numpy()
        seen += [row for batch in (next(batches, None) for _ in range(steps)) if batch for row in batch["x"].tolist()]
        states.append(one.state_dict())
    if len(seen) == count:
        return  # the epoch is over on some ranks
    assert len({json.dumps(state) for state in states}) == 1, "the state of every rank is the same"
    for one in ranks(*after):
        one.load_state_dict(states[0])
        seen += [row for batch in one.numpy() for row in batch["x"].tolist()]
    assert sorted(seen) == list(range(count))


def test_ranks_that_get_no_batch_in_the_last_step_are_told() -> None:
    with pytest.warns(UserWarning, match="the last step of an epoch has 1 samples for 2 ranks"):
        loader(9, batch_size=2, rank=0, world_size=2)


def test_seek_begins_at_a_step() -> None:
    one = loader(50, batch_size=8)
    epochs = [rows(one.numpy()) for _ in range(3)]
    one.seek(1, 3)
    assert rows(one.numpy()) == epochs[1][3:]
    assert rows(one.numpy()) == epochs[2]
    with pytest.raises(Refused, match="there is no step 8 of epoch 0: an epoch has 7 steps"):
        one.seek(0, 8)


def test_a_state_of_other_data_or_another_order_is_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    versions = [store.put(np.full(20, n), name="data") for n in (1, 2)]

    def of(version: int, **config: Any) -> MLXDataLoader:
        return MLXDataLoader({"x": store.open(versions[version])}, MLXLoaderConfig(**config))

    state = of(0).state_dict()
    assert state["digests"] == {"x": versions[0].digest}
    of(0, batch_size=3, num_workers=2).load_state_dict(state)
    with pytest.raises(Refused, match=rf"digests is .*{versions[0].digest}.* in the state and .*{versions[1].digest}"):
        of(1).load_state_dict(state)
    with pytest.raises(Refused, match="seed is 0 in the state and 1 here"):
        of(0, seed=1).load_state_dict(state)
    with pytest.raises(Refused, match="shuffle is True in the state and False here"):
        of(0, shuffle=False).load_state_dict(state)
    with pytest.raises(Refused, match="no state of a loader"):
        of(0).load_state_dict({"epoch": 1})


def test_processes_that_mlx_launched_share_the_samples(tmp_path: Path) -> None:
    script = tmp_path / "rank.py"
    script.write_text(
        "import numpy as np\n"
        "from smalti.loaders import MLXDataLoader, MLXLoaderConfig\n"
        "loader = MLXDataLoader({'x': np.arange(20)}, MLXLoaderConfig(batch_size=3, drop_last=True))\n"
        "print('rows', [b['x'].tolist() for b in loader], flush=True)\n"
    )
    launch = Path(sys.executable).with_name("mlx.launch")
    command = [str(launch), "-n", "2", "--backend", "ring", "--", sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = [line.split("rows ")[1] for line in done.stdout.splitlines() if "rows " in line]
    assert len(lines) == 2, done.stderr
    batches = [json.loads(line) for line in lines]
    assert [[len(rows) for rows in rank] for rank in batches] == [[3, 3, 3]] * 2
    assert len({row for rank in batches for rows in rank for row in rows}) == 18
