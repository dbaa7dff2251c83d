"""Heavy work in a child process of its own, with its progress in the run's log."""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from resources.store import StoreResource
from smalti.compute import run_child

_SECONDS_BETWEEN_LINES = 2.0


class Compute(dg.ConfigurableResource):
    """Runs a library function where mlx may be imported: in the main thread of a fresh process."""

    store: dg.ResourceDependency[StoreResource]

    def run(
        self,
        log: dg.DagsterLogManager,
        function: str,
        *,
        lines: list[str] | None = None,
        on_progress: Callable[[dict[str, Any]], None] = lambda _: None,
        **request: Any,
    ) -> dict[str, Any]:
        """Return what ``function`` answers to the request; the store's place is added to it.

        Args:
            lines: is given every line of progress; the log gets one in a while.
            on_progress: is called with whatever the function reports.
        """
        last = 0.0

        def report(progress: dict[str, Any]) -> None:
            nonlocal last
            on_progress(progress)
            line = ", ".join(f"{key} {_short(value)}" for key, value in progress.items() if value is not None)
            if lines is not None:
                lines.append(line)
            if time.monotonic() - last > _SECONDS_BETWEEN_LINES:
                last = time.monotonic()
                log.info(line)

        return run_child(function, {"store": self.store.location, **request}, report)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
