"""Every call fails in turn, or is the last one, while manifests change: none is torn, and the tables tell the truth."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.store.backends.local.backend import LocalBackend
from smalti.store.documents import Documents
from smalti.store.manifests import Manifests
from smalti.store.manifests.local_index import LocalManifests

FAILURES = {
    "fsync,fdatasync": "EIO",
    "rename,renameat,renameat2": "ENOSPC",
    "link,linkat": "EPERM",
    "write": "ENOSPC",
    "pwrite64": "ENOSPC",
    "unlink,unlinkat": "EIO",
    "flock": "ENOLCK",
    "newfstatat,stat,fstat": "EIO",
}
EVERY = int(os.environ.get("SMALTI_TEST_CALLS_EVERY", "8"))  # after the first ten, take every k-th call; 1 for all
X, Y, Z = (f"sha256:{number:064x}" for number in range(3))


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Manifests with complete tables, to be copied for each trial."""
    manifests = LocalManifests(LocalBackend(tmp_path / "begun"))
    manifests.add("old", inputs={"x": X})
    manifests.add("there", inputs={"x": X}, outputs={"y": Y})
    assert len(manifests.uses(X)) == 2
    return tmp_path / "begun"


@pytest.mark.parametrize("calls", FAILURES)
@pytest.mark.parametrize("fault", ["error", "kill"])
def test_a_call_that_fails_tears_no_manifest_and_the_tables_tell_the_truth(
    tmp_path: Path, begun: Path, under_strace: Callable[..., Any], calls: str, fault: str
) -> None:
    how = f"error={FAILURES[calls]}" if fault == "error" else "signal=SIGKILL"
    root = tmp_path / "store"

    def act(say: Callable[[str], None]) -> None:
        manifests = LocalManifests(LocalBackend(root))
        manifests.add("new", inputs={"y": Y}, outputs={"z": Z})
        say("added")
        manifests.update("there", tags={"a": "1"}, outputs={"z": Z})
        say("updated")
        manifests.release("old")
        say("released")

    injected = 0
    for when in itertools.chain(range(1, 11), itertools.count(11, EVERY)):
        shutil.copytree(begun, root)
        assert len(LocalManifests(LocalBackend(root)).uses(X)) == 2  # a copy has other inodes, and is indexed anew
        outcome = under_strace(act, ["-e", f"trace={calls}", "-e", f"inject={calls}:{how}:when={when}"])
        if not outcome.injected:
            assert outcome.said == ["added", "updated", "released"]
            break
        injected += 1
        what = f"{calls} {fault} number {when}: {outcome.said}"
        if outcome.ended and fault == "error":
            assert outcome.said[-1].startswith("Unavailable: could not "), what
        true, found = Manifests(Documents(LocalBackend(root))), LocalManifests(LocalBackend(root))
        if "added" in outcome.said:
            assert true.get("new").outputs == {"z": Z}, what
        if "updated" in outcome.said:
            assert (true.get("there").tags, true.get("there").outputs) == ({"a": "1"}, {"y": Y, "z": Z}), what
        assert bool(true.get("old").released_at) >= ("released" in outcome.said), what
        assert true.unread() == {}, what
        assert fault == "error" or outcome.ended == -signal.SIGKILL, what
        for address in (X, Y, Z):
            assert found.uses(address) == true.uses(address), what
            assert found.released_uses(address) == true.released_uses(address), what
            assert found.lineage(address, "downstream") == true.lineage(address, "downstream"), what
        found.add("new", inputs={"y": Y}, outputs={"z": Z})
        found.update("there", tags={"a": "1"}, outputs={"z": Z})
        assert found.release("old") == true.get("old"), what
        assert list((root / "manifests").glob("old*")) == [], what
        shutil.rmtree(root)
    assert injected, "no such call was made: this proves nothing"
    shutil.rmtree(root, ignore_errors=True)
