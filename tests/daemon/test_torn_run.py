"""A run that is killed between two of its assets: its retry alone makes the rest, no condition asks for it, too."""

from __future__ import annotations

import os

import pytest

from tests.daemon.daemon import Daemon, eventually
from tests.daemon.platform import Platform
from tests.daemon.settling import faults, recorded, settle

pytestmark = pytest.mark.skipif("SMALTI_TEST_DAEMON" not in os.environ, reason="takes minutes: make test-daemon")


@pytest.mark.parametrize("asset", ["scan_split", "ptycho_checkpoint", "reconstruction"])
def test_what_a_killed_run_had_made_is_kept_and_the_rest_is_made_once(
    platform: Platform, daemon: Daemon, asset: str
) -> None:
    daemon.environment["SMALTI_TEST_COMPUTE_s"] = "2"  # time to see what was made
    platform.drop("a", 2.0)
    daemon.start()
    assert eventually(lambda: (asset, "a") in recorded(platform).materialized, 120, every=0.2)
    daemon.kill_everything()
    assert ("ptychodus_product", "a") not in recorded(platform).materialized, "it was killed too late to tell"
    daemon.start()
    records = settle(platform, ["a"])
    assert not faults(platform, records), records.story()
    assert records.retries() == ["reconstruct a"]
    assert len(set(records.materialized[asset, "a"])) == 1, (
        "a step that was killed after it stored its value is repeated"
    )
