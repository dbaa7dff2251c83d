"""A headless Chromium before the platform as it runs for a person, with scans and tables that were dropped into it.

`make test-ui` runs these tests, with the Python of a small environment of its own; the platform is run by the other.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ui.platform import PROJECT, Platform
from tests.ui.window import Window

SCANS = ("photographs", "star")
TABLES = ("fruit_train",)
SCREENSHOTS = PROJECT / "tests" / "ui" / "screenshots"
_MADE_SECONDS = 180
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
_REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.fixture(scope="session")
def platform_python() -> Path:
    """The Python that the platform is installed for."""
    python = os.environ.get("SMALTI_TEST_UI")
    if not python:
        pytest.skip("there is no browser here to test with; make test-ui installs one and runs these tests")
    return Path(python).absolute()


@pytest.fixture(scope="session")
def chromium(platform_python: Path) -> str:
    named = os.environ.get("SMALTI_CHROMIUM", "")
    found = next(filter(None, map(shutil.which, [named] if named else _BROWSERS)), None)
    if not found:
        pytest.skip(f"{named or ', '.join(_BROWSERS)} is not on the PATH; set SMALTI_CHROMIUM to a Chromium")
    return found


@pytest.fixture(scope="session")
def platform(platform_python: Path, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The platform, after two scans became products, a table a submission, and one file was rejected."""
    with Platform(tmp_path_factory.mktemp("root"), platform_python) as started:
        started.run_python("-m", "tests.ui.raw_files", started.raw)
        for asset, partitions in (("ptychodus_product", SCANS), ("submission", TABLES)):
            started.wait(
                f"{asset} of {', '.join(partitions)}",
                lambda asset=asset, partitions=partitions: set(partitions) <= started.partitions_of(asset),
                _MADE_SECONDS,
            )
        started.wait_until_idle(_MADE_SECONDS)
        yield started


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A browser; screenshots of an earlier session are removed."""
    from playwright.sync_api import sync_playwright

    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, headless=True, args=_FLAGS.split())
        yield started
        started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.stash[_REPORT] = report
    return report


@pytest.fixture
def window(browser: Any, platform: Platform, request: pytest.FixtureRequest) -> Iterator[Window]:
    """A window of a person who was never here before; in the end, nothing has left the machine and no page erred."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000})
    opened = Window(context.new_page(), platform.url, SCREENSHOTS)
    yield opened
    if request.node.stash[_REPORT].failed:
        opened.screenshot(f"failed-{request.node.name}")
    context.close()
    assert not opened.left, "requests left the machine"
    assert not opened.wrong
