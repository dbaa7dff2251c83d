"""``python -m benchmarks.platform``: what a person waits for in the Dagster project; writes docs/benchmarks/platform.md."""

from __future__ import annotations

from benchmarks.page import Page, main
from benchmarks.platform import io_managers, loading, many, pages, terminated, unchanged, waited

ABOUT = """\
A figure is a median, or where it says so the longest. Intervals are those of the project and of Dagster; the daemon \
and the webserver are real, on a fresh root in the temporary folder, with records in SQLite."""

PAGE = Page(
    name="platform",
    title="The platform: how long a person waits",
    about=ABOUT,
    cases={
        "waited": waited.measure,
        "terminated": terminated.measure,
        "pages": pages.measure,
        "many": many.measure,
        "unchanged": unchanged.measure,
        "io_managers": io_managers.measure,
        "loading": loading.measure,
    },
    versions=("dagster", "dagster-webserver", "sqlalchemy"),
)

if __name__ == "__main__":
    main(PAGE)
