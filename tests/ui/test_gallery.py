"""The gallery of everything that was made: served, and opened as a file."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.ui.platform import PROJECT, Platform
from tests.ui.window import Window

_ADDRESS = re.compile(r"http://[\w.]+:\d+\S*")
_MADE = ("photographs", "star", "fruit_train")


@pytest.fixture(scope="module")
def served(platform: Platform) -> Iterator[str]:
    """The address at which `smalti gallery` says that it serves."""
    command = [platform.python.with_name("smalti"), "gallery", "--port", "0"]
    with subprocess.Popen(
        command, cwd=PROJECT, env={**platform.environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout
        said = serving.stdout.readline()
        try:
            yield _ADDRESS.findall(said)[0].rstrip(";,.")
        finally:
            serving.terminate()


def test_the_gallery_that_is_served_shows_each_result_with_a_picture(window: Window, served: str) -> None:
    window.open(served)
    window.sees(*_MADE)
    window.screenshot("gallery")
    assert len(window.pictures()) >= len(_MADE)


def test_the_gallery_is_filtered_by_name(window: Window, served: str) -> None:
    window.open(served)
    window.sees(*_MADE)
    window.page.get_by_role("searchbox").fill("fruit")
    window.page.get_by_text("star", exact=True).first.wait_for(state="hidden")
    window.sees("fruit_train")
    window.screenshot("gallery-filtered")


def test_the_gallery_links_to_the_files_of_a_result(window: Window, served: str) -> None:
    window.open(served)
    window.page.get_by_role("link", name="star", exact=True).first.click()
    window.sees("star")
    window.screenshot("gallery-star")


def test_the_gallery_opens_as_a_file(window: Window, platform: Platform) -> None:
    window.open((platform.root / "outputs" / "index.html").as_uri())
    window.sees(*_MADE)
    window.screenshot("gallery-file")
    assert len(window.pictures()) >= len(_MADE)
