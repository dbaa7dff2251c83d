"""Files dropped at random times while the daemon is killed at random moments: each becomes exactly one product."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.daemon.daemon import Daemon
from tests.daemon.platform import Platform
from tests.daemon.settling import faults, settle

pytestmark = pytest.mark.skipif("SMALTI_TEST_DAEMON" not in os.environ, reason="takes minutes: make test-daemon")
KILLS = int(os.environ.get("SMALTI_TEST_DAEMON_KILLS", "1"))
FILES = int(os.environ.get("SMALTI_TEST_DAEMON_FILES", "2"))
SEED = int(os.environ.get("SMALTI_TEST_DAEMON_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
_FIRST_KILL_s, _LAST_KILL_s = 8.0, 30.0  # after a start: from looking at the folder to reconstructing


@pytest.mark.parametrize("history", range(int(os.environ.get("SMALTI_TEST_DAEMON_HISTORIES", "1"))))
def test_each_file_becomes_one_product_however_often_the_daemon_is_killed(
    platform: Platform, daemon: Daemon, history: int
) -> None:
    seed = SEED + history
    rng = random.Random(seed)
    told = [f"SMALTI_TEST_DAEMON_SEED={seed}, {KILLS} kills, {FILES} files"]
    start = time.monotonic()

    def say(what: str) -> None:
        told.append(f"{time.monotonic() - start:6.1f} s  {what}")
        print(told[-1], flush=True)

    bad = [f"bad{number}" for number in range(1 + FILES // 4)]
    keys = [f"scan{number}" for number in range(FILES)]
    waiting = [*keys, *bad]
    rng.shuffle(waiting)

    def drop(most: int) -> None:
        for _ in range(min(most, len(waiting))):
            key = waiting.pop()
            if key in bad:
                platform.drop_broken(key)
            else:
                platform.drop(key, 2.0 + keys.index(key))
            say(f"dropped {key}")
        if platform.levels and rng.random() < 0.5:
            again = rng.choice(sorted(platform.levels))
            platform.drop_again(again)
            say(f"dropped {again} again")

    each = -(-len(waiting) // (2 * KILLS))
    for _ in range(KILLS):
        drop(rng.randint(1, each))
        daemon.start()
        until = time.monotonic() + rng.uniform(_FIRST_KILL_s, _LAST_KILL_s)
        time.sleep(rng.uniform(0, until - time.monotonic()))
        drop(rng.randint(0, each))
        time.sleep(max(0.0, until - time.monotonic()))
        kill = rng.choice([daemon.kill_everything, daemon.kill_everything, daemon.kill_daemon, daemon.kill_one])
        say(f"killed {kill(rng) if kill == daemon.kill_one else kill()}")
        if daemon.lives:
            time.sleep(rng.uniform(0, 10))
            say(f"killed {daemon.kill_everything()}")
    drop(len(waiting))
    daemon.start()
    records = settle(platform, keys)
    say(f"settled after {len(records.runs)} runs; tried again: {records.retries()}")
    assert not faults(platform, records, bad), "\n".join([*told, records.story()])
