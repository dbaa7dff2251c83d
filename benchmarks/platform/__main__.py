"""``python -m benchmarks.platform``: what a person waits for in Dagster; writes docs/benchmarks/platform.md."""

from __future__ import annotations

import logging

from benchmarks.page import Page, main
from benchmarks.platform import io_managers, loading, many, pages, terminated, unchanged, waited

ABOUT = """\
A figure is a median, or where it says so the longest. Intervals are those of the project and of Dagster; daemon and \
web server are real, on a fresh root in the temporary folder, with records in SQLite. A page is what the web server is \
asked for it, the fields that depend on the number of partitions, all at once; drawing it is not in the figure."""

PAGE = Page(
    name="platform",
    title="The platform: how long a person waits",
    about=ABOUT,
    cases={
        "waited": lambda _, rounds: waited.measure(rounds),
        "terminated": lambda _, __: terminated.measure(),
        "unchanged": lambda _, rounds: unchanged.measure(rounds),
        "many": lambda _, __: many.measure(),
        "pages": lambda _, rounds: pages.measure(rounds),
        "io_managers": lambda _, rounds: io_managers.measure(rounds),
        "loading": lambda _, rounds: loading.measure(rounds),
    },
    versions=("dagster", "dagster-webserver", "sqlalchemy"),
)

if __name__ == "__main__":
    logging.disable(logging.WARNING)  # of the runs in this process
    main(PAGE)
