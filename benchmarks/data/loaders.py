"""The loaders beside memcpy, torch, mlx-data and grain, and streaming beside loading from memory.

Everything is measured in turns, each turn in a process of its own, where the best of some epochs counts, since what
else the machine does can only make one slower; a ratio is the median of the rounds' ratios. Beside it stands the ratio
of samples per CPU second: workers make a loader quicker where cores are free, but not cheaper.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.line import Line
from benchmarks.store.measure import in_fresh_process, timed
from smalti import open_store

PEERS = Path(__file__).with_name("loader_peers.py")
BATCH = 32
MEAN, STD = np.float32(0.5), np.float32(0.29)
MEGABYTE = 1e6
_EPOCHS = 3


@dataclass(frozen=True)
class Scale:
    """How much is read: rows of 64 x 64 float32, rows of 64 int32, and megabytes that the stream may take."""

    images: int = 20_000
    tokens: int = 1_000_000
    cap_mb: float = 128


def measure(peers_python: Path | None, rounds: int = 5, scale: Scale | None = None) -> list[Line]:
    """Measure everything, in a temporary folder of about 1.5 GB.

    Args:
        peers_python: the Python of an environment with torch, mlx-data and grain; without it ours alone is measured.
    """
    scale = scale or Scale()
    with tempfile.TemporaryDirectory(prefix="bench-loaders-") as name:
        folder = Path(name)
        in_fresh_process(None, _write, folder, scale)
        images: list[Rates] = []
        tokens: list[Rates] = []
        streams: list[Rates] = []
        for number in range(rounds):
            print(f"loaders: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            images.append(
                {
                    **in_fresh_process(None, _images, folder),
                    **{k: v for p in _IMAGE_PEERS for k, v in _peer(peers_python, p, folder / "images.npy").items()},
                }
            )
            tokens.append(
                {
                    **in_fresh_process(None, _tokens, folder),
                    **_peer(peers_python, "torch_getitems", folder / "tokens.npy"),
                }
            )
            memory = in_fresh_process(None, _in_memory, folder)
            streams.append({**memory, **in_fresh_process(None, _stream, folder, scale, int(memory["workers"]))})
    return [*_image_lines(images), *_token_lines(tokens), *_stream_lines(streams, scale)]


Rates = Mapping[str, float | None]  # what -> samples per second, or None where it could not be measured
_CPU = " per CPU second"  # ends the names of rates of samples per second of CPU time

_IMAGE_PEERS = {
    "torch_per_sample": ("torch DataLoader, per sample", 5.0),
    "torch_getitems": ("torch DataLoader, `__getitems__`", 1.4),
    "mlx_data": ("mlx-data", 2.5),
    "grain": ("grain", 4.0),
}


def _image_lines(rounds: list[Rates]) -> list[Line]:
    workers = sorted({f"{one['workers']:g}" for one in rounds})
    what = (
        f"shuffled, normalised 64 x 64 float32 batches from the store, later epochs, {'/'.join(workers)} workers chosen"
    )
    first, _ = _ratio(rounds, "first", "memcpy")
    lines = [
        _line(f"{what}, to numpy / memcpy of the same bytes", rounds, "numpy", "memcpy", 0.8),
        _line("the same to `mx.array`", rounds, "mlx", "memcpy", 0.65),
        Line("the same to numpy in the first epoch, in which every leaf is hashed", "", f"{first:.2f}"),
    ]
    return lines + [
        _line(f"the same / {name}", rounds, "numpy", key, least) for key, (name, least) in _IMAGE_PEERS.items()
    ]


def _token_lines(rounds: list[Rates]) -> list[Line]:
    return [
        _line(
            "tokenised table, rows of 64 int32 / torch `__getitems__` on an array",
            rounds,
            "ours",
            "torch_getitems",
            4.0,
        )
    ]


def _stream_lines(rounds: list[Rates], scale: Scale) -> list[Line]:
    peak_mb = max(one["peak_nbytes"] or 0 for one in rounds) / MEGABYTE
    first, _ = _ratio(rounds, "first", "memory")
    line = _line(
        "streaming a set 4 times larger than the memory cap / in-memory loader", rounds, "later", "memory", 0.8
    )
    within = peak_mb <= scale.cap_mb
    words = f"{line.measured}; at most {peak_mb:.0f} MB of {scale.cap_mb:g}; first pass, verified: {first:.2f}"
    return [Line(line.measure, f"{line.to_reach}, within the cap", words, bool(line.reached) and within)]


def _line(what: str, rounds: list[Rates], ours: str, theirs: str, least: float) -> Line:
    if any(one[theirs] is None for one in rounds):
        rate = median(one[ours] or 0 for one in rounds)
        return Line(what, f"{least:g}", f"{rate:,.0f} samples/s; the peer is not installed")
    found, words = _ratio(rounds, ours, theirs)
    return Line(what, f"{least:g}", words, found >= least)


def _ratio(rounds: list[Rates], ours: str, theirs: str) -> tuple[float, str]:
    ratios = [(one[ours] or 0) / (one[theirs] or 1) for one in rounds]
    mine, other = (median(one[key] or 0 for one in rounds) for key in (ours, theirs))
    found = median(ratios)
    by_cpu = median((one[ours + _CPU] or 0) / (one[theirs + _CPU] or 1) for one in rounds)
    span = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return found, f"{found:.2f} ({span}); {mine:,.0f} / {other:,.0f} samples/s; by CPU time {by_cpu:.2f}"


def _peer(python: Path | None, name: str, file: Path) -> dict[str, float | None]:
    if python is None:
        return {name: None}
    command = [str(python), "-W", "ignore", str(PEERS), name, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"loaders: {name} ended with {done.returncode}: {last}", file=sys.stderr)
        return {name: None}
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: found["samples_per_s"], name + _CPU: found["samples_per_cpu_s"]}


def _write(folder: Path, scale: Scale) -> None:
    import pyarrow as pa

    rng = np.random.default_rng(0)
    images = rng.random((scale.images, 64, 64), np.float32)
    tokens = rng.integers(0, 30_000, (scale.tokens, 64), np.int32)
    np.save(folder / "images.npy", images)
    np.save(folder / "tokens.npy", tokens)
    store = open_store(folder / "store")
    store.put(images, "images")
    store.put(pa.table({"input_ids": pa.FixedSizeListArray.from_arrays(tokens.ravel(), 64)}), "tokens")
    rows = int(4 * scale.cap_mb * MEGABYTE / images[0].nbytes)
    store.put_rows((np.roll(images[:1000], n, axis=2) for n in range(rows // 1000)), "large")


def _normalise(batch: dict[str, Any]) -> dict[str, Any]:
    rows = batch["data"]
    rows -= MEAN
    rows *= 1 / STD
    return batch


def _images(folder: Path) -> dict[str, float]:
    """Return samples per second of memcpy, and of our loader: in the first epoch, to numpy, and to MLX."""
    from smalti.loaders import MLXDataLoader, MLXLoaderConfig

    store = open_store(folder / "store")
    loader = MLXDataLoader(store.open("images"), MLXLoaderConfig(batch_size=BATCH), transform=_normalise)
    mapped = np.asarray(np.load(folder / "images.npy", mmap_mode="r"))
    target = np.ones(mapped.shape, mapped.dtype)

    def memcpy() -> int:
        np.copyto(target, mapped)
        return len(mapped)

    memcpy()
    rates: dict[str, float] = {}
    _note(rates, "first", lambda: _read(loader.numpy(), "data"))
    for _ in range(3):  # any trial of workers is over then
        _read(loader.numpy(), "data")
    for _ in range(_EPOCHS):
        _note(rates, "memcpy", memcpy)
        _note(rates, "numpy", lambda: _read(loader.numpy(), "data"))
        _note(rates, "mlx", lambda: _read(loader, "data"))
    return {**rates, "workers": loader.num_workers}


def _tokens(folder: Path) -> dict[str, float]:
    from smalti.loaders import MLXDataLoader, MLXLoaderConfig

    loader = MLXDataLoader(open_store(folder / "store").open("tokens"), MLXLoaderConfig(batch_size=BATCH))
    _read(loader.numpy(), "input_ids")
    rates: dict[str, float] = {}
    for _ in range(_EPOCHS):
        _note(rates, "ours", lambda: _read(loader.numpy(), "input_ids"))
    return rates


def _in_memory(folder: Path) -> dict[str, float]:
    """Return the rate of a loader over the set as an array in memory, in order, and how many workers it chose.

    The consumer normalises.
    """
    from smalti.loaders import MLXDataLoader, MLXLoaderConfig

    rows = np.array(open_store(folder / "store").get("large", verify=False))
    loader = MLXDataLoader(rows, MLXLoaderConfig(batch_size=BATCH, shuffle=False))
    for _ in range(3):  # any trial of workers is over then
        _read(map(_normalise, loader.numpy()), "data")
    rates: dict[str, float] = {}
    for _ in range(_EPOCHS):
        _note(rates, "memory", lambda: _read(map(_normalise, loader.numpy()), "data"))
    return {**rates, "workers": loader.num_workers}


def _stream(folder: Path, scale: Scale, workers: int) -> dict[str, float]:
    """Return the rate of streaming the set, first and later, and by how many bytes that raised the process's peak."""
    from smalti.loaders import StreamingConfig, StreamingPipeline

    config = StreamingConfig(buffer_size=1024, num_workers=workers, buffer_mb=scale.cap_mb / 4)
    pipeline = StreamingPipeline(open_store(folder / "store").open("large"), config)
    before = _peak_nbytes()
    rates: dict[str, float] = {}
    for name in ("first", *["later"] * _EPOCHS):
        _note(rates, name, lambda: _read(map(_normalise, pipeline.stream_batches(BATCH, numpy=True)), "data"))
    return {**rates, "peak_nbytes": _peak_nbytes() - before}


def _peak_nbytes() -> float:
    from benchmarks.store.measure import peak_nbytes

    return float(peak_nbytes())


def _read(batches: Iterable[Mapping[str, Any]], key: str) -> int:
    return sum(len(batch[key]) for batch in batches)


def _note(rates: dict[str, float], name: str, action: Callable[[], int]) -> None:
    """Do ``action``, which returns a number of samples, and note its rates under ``name`` if they are the best."""
    cost, samples = timed(action)
    for key, seconds in ((name, cost.wall_s), (name + _CPU, cost.cpu_s)):
        rates[key] = max(rates.get(key, 0.0), samples / seconds)
