"""From a file that is dropped to its materialization and to its product, with the real daemon and its intervals."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import dagster as dg
import yaml

from benchmarks.line import Line, at_most
from smalti.simulation import card_fields, simulate_scan, write_raw_npz
from tests.daemon.daemon import PROJECT, Daemon, eventually
from tests.daemon.platform import Platform, recorded_at

ACCEPTED_s, PRODUCT_s = 45.0, 180.0
_LOADED_s = 60.0


def measure(rounds: int) -> list[Line]:
    """Return the seconds of a small scan, dropped as soon as the daemon ticks, and of others dropped later."""
    with tempfile.TemporaryDirectory() as place:
        platform = Platform(Path(place) / "root")
        daemon = Daemon(platform.home, {"SMALTI_ROOT": str(platform.root)}, PROJECT / "definitions.py")
        try:
            daemon.start()
            assert eventually(lambda: "raw_files" in daemon.log, _LOADED_s), daemon.log[-2000:]
            dropped_at = {"small": _drop_small(platform)}
            for number in range(max(1, rounds - 2)):
                time.sleep(4.3)  # at another moment between two ticks each time
                dropped_at[f"level{number}"] = time.time()
                platform.drop(f"level{number}", 2.0 + number)
            with platform.instance() as instance:
                accepted = _waited(instance, "raw_scan", dropped_at)
                (product,) = _waited(instance, "ptychodus_product", {"small": dropped_at["small"]})
        finally:
            daemon.stop()
    return [
        at_most(
            ACCEPTED_s,
            f"a file dropped, to its materialization, the longest of {len(accepted)}",
            max(accepted),
            "{:.0f} s",
        ),
        at_most(PRODUCT_s, "a scan of 64 patterns of 32 x 32 dropped, to its product", product, "{:.0f} s"),
    ]


def _drop_small(platform: Platform) -> float:
    scan = simulate_scan("small", positions_per_side=8, window=32)
    (platform.raw / "small.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan)))
    dropped_at = time.time()
    write_raw_npz(scan, platform.raw / "small.npz")
    return dropped_at


def _waited(instance: dg.DagsterInstance, asset: str, dropped_at: dict[str, float]) -> list[float]:
    """Wait for the materialization of each of these keys; return the seconds since it was dropped."""
    assert eventually(lambda: dropped_at.keys() <= recorded_at(instance, asset).keys(), 3 * PRODUCT_s), asset
    return [recorded_at(instance, asset)[key] - at for key, at in dropped_at.items()]
