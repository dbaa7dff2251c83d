"""The loaders beside memcpy, torch, mlx-data and grain, and streaming beside loading from memory.

Everything is measured in turns, each turn in a process of its own, where the best of some epochs counts, since what
else the machine does can only make one slower; a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.store.measure import in_fresh_process
from smalti import open_store

PEERS = Path(__file__).with_name("loader_peers.py")
BATCH = 32
MEAN, STD = np.float32(0.5), np.float32(0.29)
MEGABYTE = 1e6
_EPOCHS = 3


@dataclass(frozen=True)
class Line:
    """One line of the table; ``reached`` is None where there is nothing to be reached, or nothing was measured."""

    measure: str
    to_reach: str
    measured: str
    reached: bool | None = None


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
        images, tokens, streams = [], [], []
        for number in range(rounds):
            print(f"loaders: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            images.append(
                {
                    **in_fresh_process(None, _images, folder),
                    **{peer: _peer(peers_python, peer, folder / "images.npy") for peer in _IMAGE_PEERS},
                }
            )
            tokens.append(
                {
                    "ours": in_fresh_process(None, _tokens, folder),
                    "torch_getitems": _peer(peers_python, "torch_getitems", folder / "tokens.npy"),
                }
            )
            memory = in_fresh_process(None, _in_memory, folder)
            streams.append({"memory": memory, **in_fresh_process(None, _stream, folder, scale)})
    return [*_image_lines(images), *_token_lines(tokens), *_stream_lines(streams, scale)]


Rates = Mapping[str, float | None]  # what -> samples per second, or None where it could not be measured

_IMAGE_PEERS = {
    "torch_per_sample": ("torch DataLoader, per sample", 5.0),
    "torch_getitems": ("torch DataLoader, `__getitems__`", 1.4),
    "mlx_data": ("mlx-data", 2.5),
    "grain": ("grain", 4.0),
}


def _image_lines(rounds: list[Rates]) -> list[Line]:
    what = "shuffled, normalised 64 x 64 float32 batches from the store"
    first, _ = _ratio(rounds, "first", "memcpy")
    lines = [
        _line(f"{what}, to numpy / memcpy of the same bytes", rounds, "numpy", "memcpy", 0.8),
        _line("the same to `mx.array`", rounds, "mlx", "memcpy", 0.65),
        Line("the same to numpy in the first epoch, in which every leaf is verified", "", f"{first:.2f}"),
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
    return found, f"{found:.2f} ({min(ratios):.2f} to {max(ratios):.2f}); {mine:,.0f} / {other:,.0f} samples/s"


def _peer(python: Path | None, name: str, file: Path) -> float | None:
    if python is None:
        return None
    command = [str(python), "-W", "ignore", str(PEERS), name, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"loaders: {name} ended with {done.returncode}: {last}", file=sys.stderr)
        return None
    return float(json.loads(done.stdout.splitlines()[-1])["samples_per_s"])


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
    np.copyto(target, mapped)
    rates = {"first": _rate(loader.numpy(), "data")}
    for _ in range(2):  # any trial of workers is over then
        _rate(loader.numpy(), "data")
    seconds, numpy, mlx = [], [], []
    for _ in range(_EPOCHS):
        start = time.perf_counter()
        np.copyto(target, mapped)
        seconds.append(time.perf_counter() - start)
        numpy.append(_rate(loader.numpy(), "data"))
        mlx.append(_rate(loader, "data"))
    return {**rates, "memcpy": len(mapped) / min(seconds), "numpy": max(numpy), "mlx": max(mlx)}


def _tokens(folder: Path) -> float:
    from smalti.loaders import MLXDataLoader, MLXLoaderConfig

    loader = MLXDataLoader(open_store(folder / "store").open("tokens"), MLXLoaderConfig(batch_size=BATCH))
    _rate(loader.numpy(), "input_ids")
    return max(_rate(loader.numpy(), "input_ids") for _ in range(_EPOCHS))


def _in_memory(folder: Path) -> float:
    """Return the rate of a loader over the set as an array in memory, in order; the consumer normalises."""
    from smalti.loaders import MLXDataLoader, MLXLoaderConfig

    rows = np.array(open_store(folder / "store").get("large", verify=False))
    loader = MLXDataLoader(rows, MLXLoaderConfig(batch_size=BATCH, shuffle=False))
    _rate(map(_normalise, loader.numpy()), "data")
    return max(_rate(map(_normalise, loader.numpy()), "data") for _ in range(_EPOCHS))


def _stream(folder: Path, scale: Scale) -> dict[str, float]:
    """Return the rate of streaming the set, first and later, and by how many bytes that raised the process's peak."""
    from smalti.loaders import StreamingConfig, StreamingPipeline

    config = StreamingConfig(buffer_size=1024, chunk_size=4 * BATCH, num_workers=0, buffer_mb=scale.cap_mb / 4)
    pipeline = StreamingPipeline(open_store(folder / "store").open("large"), config)
    before = _peak_nbytes()
    rates = [_rate(map(_normalise, pipeline.stream_batches(BATCH, numpy=True)), "data") for _ in range(1 + _EPOCHS)]
    return {"first": rates[0], "later": max(rates[1:]), "peak_nbytes": _peak_nbytes() - before}


def _peak_nbytes() -> float:
    from benchmarks.store.measure import peak_nbytes

    return float(peak_nbytes())


def _rate(batches: Iterable[Mapping[str, Any]], key: str) -> float:
    start = time.perf_counter()
    count = sum(len(batch[key]) for batch in batches)
    return count / (time.perf_counter() - start)


def main() -> None:
    peers = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for line in measure(peers, rounds):
        print(f"| {line.measure} | {line.to_reach} | {line.measured} | {line.reached} |")


if __name__ == "__main__":
    main()
