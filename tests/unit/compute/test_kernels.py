"""Laws of compiling mlx kernels: one process at a time."""

import multiprocessing
import time
from multiprocessing.queues import Queue

from smalti.compute.kernels import compiling_alone


def hold(entered: "Queue[float]") -> None:
    with compiling_alone():
        entered.put(time.monotonic())
        time.sleep(0.3)


def test_a_second_process_waits_until_the_first_has_compiled() -> None:
    context = multiprocessing.get_context("spawn")
    entered: Queue[float] = context.Queue()
    processes = [context.Process(target=hold, args=(entered,)) for _ in range(2)]
    for process in processes:
        process.start()
    times = sorted(entered.get(timeout=30) for _ in processes)
    for process in processes:
        process.join()
    assert times[1] - times[0] >= 0.3
