"""Heavy work in a child process of its own, with its progress in the run's log."""

import time
from collections.abc import Callable
from typing import Any

import dagster as dg
from pydantic import Field

from resources.store import StoreResource
from smalti.compute import ChildKilled, run_child

_SECONDS_BETWEEN_LINES = 2.0
_RETRIES = 2


class Compute(dg.ConfigurableResource):
    """Runs a library function where mlx may be imported: in the main thread of a fresh process."""

    store: dg.ResourceDependency[StoreResource]
    first_retry_s: float = Field(
        default=10.0,
        ge=0,
        description="How many seconds after a child was killed its step begins again; then four times that.",
    )

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

        Raises:
            RetryRequested: a signal ended the child, as when memory runs out; what is resumable is resumed.
            SmaltiError: whatever else went wrong; it would again.
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

        try:
            return run_child(function, {"store": self.store.location, **request}, report)
        except ChildKilled as error:
            self._wait_to_retry(log, error)
            raise dg.RetryRequested(_RETRIES) from error

    def _wait_to_retry(self, log: dg.DagsterLogManager, error: ChildKilled) -> None:
        """Wait here, in the step: nothing interrupts the wait that Dagster makes between attempts."""
        before = dg.OpExecutionContext.get().retry_number
        if before < _RETRIES:
            seconds = self.first_retry_s * 4**before
            log.warning(f"{error}; attempt {before + 2} of {_RETRIES + 1} begins in {seconds:g} s")
            time.sleep(seconds)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
