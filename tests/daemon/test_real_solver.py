"""The definitions of the project as they are, training and solving included, under a daemon that is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from smalti.products import validate_product
from smalti.simulation import card_fields, simulate_scan, write_raw_npz
from tests.daemon.daemon import PROJECT, Daemon, eventually
from tests.daemon.platform import Platform
from tests.daemon.settling import recorded, settle

pytestmark = pytest.mark.skipif("SMALTI_TEST_DAEMON" not in os.environ, reason="takes minutes: make test-daemon")


@pytest.fixture
def platform(disk_path: Path) -> Platform:
    """A fresh root on SQLite."""
    return Platform(disk_path / "root")


def test_a_scan_becomes_a_sound_product_though_everything_was_killed_while_it_was_reconstructed(
    platform: Platform, daemon: Daemon
) -> None:
    daemon.definitions = PROJECT / "definitions.py"
    daemon.environment["MLX_DISABLE_COMPILE"] = "1"  # g++ would take longer than this small run
    scan = simulate_scan("small", positions_per_side=8, window=32)
    (platform.raw / "small.npz.card.yaml").write_text(yaml.safe_dump(card_fields(scan)))
    write_raw_npz(scan, platform.raw / "small.npz")
    daemon.start()
    assert eventually(lambda: ("ptycho_checkpoint", "small") in recorded(platform).materialized, 240, every=0.5)
    daemon.kill_everything()
    daemon.start()
    product = platform.root / "outputs" / "ptychodus_products" / "small.h5"
    assert eventually(product.exists, 300)
    records = settle(platform)
    assert validate_product(product).accepted
    assert not records.lost()
    assert records.asked("reconstruct", "export") == {"small": 1}
    assert not records.by_conditions()
    assert len(set(records.materialized["ptychodus_product", "small"])) == 1
    assert platform.store.get("reconstruction/small").metrics["r_factor"] < 0.3
    assert platform.store.fsck().clean
