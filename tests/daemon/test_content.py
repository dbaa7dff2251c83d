"""With a daemon that looks on: equal content starts nothing, new content is followed once, whoever stores it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.daemon.daemon import DEFINITIONS, PROJECT, Daemon
from tests.daemon.platform import Platform, Records
from tests.daemon.settling import CHAIN, faults, settle

pytestmark = pytest.mark.skipif("SMALTI_TEST_DAEMON" not in os.environ, reason="takes minutes: make test-daemon")


def train(daemon: Daemon, key: str, seed: int) -> None:
    """Train the network of a scan from another process than the daemon's, as a person does at the command line."""
    config = {"ops": {"ptycho_checkpoint": {"config": {"seed": seed}}}}
    command = [
        *(sys.executable, "-m", "dagster", "asset", "materialize", "-f", str(DEFINITIONS), "-d", str(PROJECT)),
        *("--select", "ptycho_checkpoint", "--partition", key, "--config-json", json.dumps(config)),
    ]
    done = subprocess.run(command, cwd=PROJECT, env=daemon.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def made(before: Records, after: Records) -> dict[tuple[str, str], int]:
    """Count the materializations that one has more than the other."""
    more = {name: len(v) - len(before.materialized.get(name, ())) for name, v in after.materialized.items()}
    return {name: count for name, count in more.items() if count}


def test_equal_content_starts_nothing_and_new_content_is_followed_once(platform: Platform, daemon: Daemon) -> None:
    platform.drop("a", 2.0)
    platform.drop("b", 3.0)
    daemon.start()
    first = settle(platform, ["a", "b"])
    assert not faults(platform, first), first.story()

    platform.drop_again("a")
    train(daemon, "b", seed=0)
    equal = settle(platform)
    assert set(made(first, equal)) <= {("raw_scan", "a"), ("ptycho_checkpoint", "b")}, "what was done by hand"
    assert not faults(platform, equal), equal.story()

    platform.drop("a", 7.0)
    other = settle(platform, ["a", "b"])
    assert platform.products() == {"a": 7, "b": 3}
    assert other.asked("ingest", "reconstruct") - equal.asked("ingest", "reconstruct") == {"": 1, "a": 1}
    assert made(equal, other) == {(asset, "a"): 1 for asset in CHAIN}
    assert not other.by_conditions()

    train(daemon, "b", seed=4)
    trained = settle(platform)
    assert platform.products() == {"a": 7, "b": 3 + 4j}
    follow = ("ptycho_checkpoint", "reconstruction", "resolution", "ptychodus_product")
    assert made(other, trained) == {(asset, "b"): 1 for asset in follow}
    assert trained.by_conditions() == {"b": 1}, "one run makes all that follows"
    assert not trained.lost()
