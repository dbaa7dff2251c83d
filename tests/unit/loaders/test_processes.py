"""Laws of loading seen from outside the process: memory stays bounded, and Ctrl-C ends it, whatever is read."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smalti import open_store

ROWS_NBYTES = 128 * 1024 * 1024
MOST_NBYTES = 40 * 1024 * 1024  # for a buffer of 8 MB, its like being read, and what the libraries allocate

STREAM = """
import resource, sys
from smalti import open_store
from smalti.loaders import StreamingConfig, StreamingPipeline
if sys.argv[1] == "file":
    dataset = sys.argv[2]
else:
    dataset = open_store(sys.argv[2]).open(sys.argv[3])
config = StreamingConfig(buffer_size=512, chunk_size=64, num_workers=2, buffer_mb=8, shuffle=sys.argv[1] == "shuffled")
pipeline = StreamingPipeline(dataset, config)
list(zip(range(1), pipeline))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in pipeline)
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""

ENDLESS = """
import time
from smalti.loaders import MLXDataLoader, MLXLoaderConfig
class Slow:
    def __len__(self): return 10**6
    def __getitem__(self, index):
        time.sleep(0.01)
        return {"x": index}
for number, batch in enumerate(MLXDataLoader(Slow(), MLXLoaderConfig(batch_size=4, num_workers=3)).numpy()):
    print(number, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in bytes elsewhere")
@pytest.mark.parametrize("how", ["in order", "shuffled"])
def test_a_stream_of_a_stored_array_takes_a_buffer_s_memory_and_not_the_array_s(disk_path: Path, how: str) -> None:
    def blocks() -> Iterator[np.ndarray]:
        for number in range(8):
            yield np.random.default_rng(number).random((1024, 2048))

    store = open_store(disk_path / "store")
    ref = store.put_rows(blocks())
    command = [sys.executable, "-c", STREAM, how, str(disk_path / "store"), ref.digest]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    count, grown_nbytes = map(int, done.stdout.split())
    assert count * 2048 * 8 == ROWS_NBYTES
    assert grown_nbytes < MOST_NBYTES


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in bytes elsewhere")
def test_a_stream_of_json_lines_takes_little_memory(tmp_path: Path) -> None:
    line = '{"text": "' + "x" * 4000 + '"}\n'
    (tmp_path / "rows.jsonl").write_text(line * 20_000)
    command = [sys.executable, "-c", STREAM, "file", str(tmp_path / "rows.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    count, grown_nbytes = map(int, done.stdout.split())
    assert count == 20_000
    assert grown_nbytes < MOST_NBYTES


def test_an_interrupt_ends_the_process_with_workers_at_work() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert said.rstrip().endswith("KeyboardInterrupt")
