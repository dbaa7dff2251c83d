"""What a person sees who opens the UI after files were dropped: lineage, pictures, checks, runs, automation."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.ui.platform import Platform
from tests.ui.window import Window

_ASSETS = "{ assetNodes { assetKey { path } groupName description owners { ... on TeamAssetOwner { team } } } }"
_SCHEDULES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  schedules { name description cronSchedule defaultStatus } sensors { name description }
  jobs { name description isAssetJob } } } } }"""
_LONG_FLOAT = re.compile(r"\d\.\d{7,}")
_AUTOMATED = ("reconstruct", "train_on_table")


@pytest.fixture(scope="module")
def assets(platform: Platform) -> list[dict[str, Any]]:
    return [{**node, "name": "/".join(node["assetKey"]["path"])} for node in platform.ask(_ASSETS)["assetNodes"]]


@pytest.fixture(scope="module")
def repository(platform: Platform) -> dict[str, Any]:
    (found,) = platform.ask(_SCHEDULES)["repositoriesOrError"]["nodes"]
    return dict(found)


def test_the_lineage_shows_every_asset_of_every_group(window: Window, assets: list[dict[str, Any]]) -> None:
    groups = sorted({asset["groupName"] for asset in assets})
    window.page.set_viewport_size({"width": 2200, "height": 1600})  # what lies outside of it is not in the page
    for group in groups:
        window.open("/asset-groups", expanded=f"global@global:{group}")
        for asset in assets:
            if asset["groupName"] == group:
                window.sees(asset["name"])
        window.screenshot(f"lineage-{group}")
    window.open("/asset-groups", expanded=",".join(f"global@global:{group}" for group in groups))
    window.sees(*groups)
    window.screenshot("lineage")


def test_every_asset_has_a_description_and_an_owner(window: Window, assets: list[dict[str, Any]]) -> None:
    assert not [asset["name"] for asset in assets if not (asset["description"] and asset["owners"])]
    window.open("/assets")
    window.sees("reconstruction")
    window.screenshot("catalog")


@pytest.mark.parametrize(
    ("asset", "partition"),
    [
        ("scan", "star"),
        ("ptycho_checkpoint", "star"),
        ("reconstruction", "star"),
        ("resolution", "star"),
        ("bert_checkpoint", "fruit_train"),
        ("submission", "fruit_train"),
    ],
)
def test_a_materialization_shows_its_picture_without_a_click(window: Window, asset: str, partition: str) -> None:
    window.open(f"/assets/{asset}", view="partitions", partition=partition)
    window.sees("Latest materialization", "digest")
    window.screenshot(f"materialization-{asset}")
    assert any(width > 30 and height > 30 for width, height in window.pictures())


@pytest.mark.parametrize("asset", ["raw_scan", "scan", "reconstruction", "ptychodus_product", "submission"])
def test_numbers_have_few_digits(window: Window, asset: str) -> None:
    window.open(f"/assets/{asset}", view="events")
    window.sees("Metadata", "digest")
    window.screenshot(f"numbers-{asset}")
    assert not _LONG_FLOAT.findall(window.text())


def test_a_reconstruction_is_described_and_its_check_is_passed(window: Window) -> None:
    window.open("/assets/reconstruction", view="overview")
    window.sees("gradient descent", "Latest check results")
    window.screenshot("overview-reconstruction")
    window.button("Plots").click()
    window.sees("r_factor")
    window.screenshot("plots-reconstruction")
    window.open("/assets/reconstruction", view="checks")
    window.sees("explains_the_scan", "Passed", "the R-factor is 0.0")
    window.screenshot("check-reconstruction")


def test_a_rejected_file_is_listed_with_its_reason_and_what_to_do(window: Window) -> None:
    window.open("/assets/rejected_files", view="events")
    window.sees("misaligned.npz", "what to do", "wanted N = 10 as in diffraction")
    window.screenshot("rejected-files")


def test_the_failed_check_of_rejected_files_shows_every_violation_in_a_table(window: Window) -> None:
    window.open("/assets/rejected_files", view="checks")
    window.sees("1 file waits to be mended", "severity", "message", "xcoords")
    window.screenshot("check-rejected-files")


def test_a_rejected_file_is_no_partition_of_anything(window: Window, platform: Platform) -> None:
    for asset in ("raw_scan", "reconstruction"):
        window.open(f"/assets/{asset}", view="partitions")
        window.sees("star", "photographs", "Missing (0)", "Failed (0)")
        window.screenshot(f"partitions-{asset}")
        assert "misaligned" not in window.text()


def test_a_schedule_says_what_it_does_and_when_it_ticks_next(window: Window, repository: dict[str, Any]) -> None:
    assert repository["schedules"]
    for schedule in repository["schedules"]:
        assert schedule["description"], schedule["name"]
        window.open(f"/locations/smalti/schedules/{schedule['name']}")
        window.sees("Description", schedule["description"][:40], schedule["cronSchedule"], "Running")
        if schedule["defaultStatus"] == "RUNNING":
            window.sees("Next tick")
        window.screenshot(f"schedule-{schedule['name']}")


def test_the_automation_tab_lists_every_sensor_and_schedule_and_none_that_fails(
    window: Window, repository: dict[str, Any]
) -> None:
    window.open("/automation")
    for one in [*repository["sensors"], *repository["schedules"]]:
        assert one["description"], one["name"]
        window.sees(one["name"])
    window.screenshot("automation")
    assert "Failed" not in window.text()
    window.open("/assets/reconstruction", view="automation")
    window.sees("Evaluation result")
    window.screenshot("automation-reconstruction")


def test_every_job_says_what_it_does(window: Window, repository: dict[str, Any]) -> None:
    named = [job for job in repository["jobs"] if not job["name"].startswith("__")]
    assert not [job["name"] for job in named if not job["description"]]
    window.open("/jobs")
    window.sees(*(job["name"] for job in named))
    window.screenshot("jobs")


def test_the_list_of_runs_has_only_runs_that_ran(window: Window, platform: Platform) -> None:
    runs = platform.runs()
    assert {run["jobName"] for run in runs} >= {"ingest", *_AUTOMATED}
    window.open("/runs")
    window.sees("ingest", *_AUTOMATED)
    window.screenshot("runs")
    assert not [told for told in ("Starting...", "Starting…", "Manually launched", "Failure") if told in window.text()]
    for run in runs:
        assert run["startTime"] is not None, run["jobName"]


@pytest.mark.parametrize("job", ["ingest", "reconstruct", "train_on_table"])
def test_the_page_of_a_run_opens_with_its_steps(window: Window, platform: Platform, job: str) -> None:
    run = next(run for run in platform.runs() if run["jobName"] == job)
    window.open(f"/runs/{run['runId']}")
    window.sees("Success", "Finished execution of run")
    window.screenshot(f"run-{job}")
    assert "Unable to build execution plan" not in window.text()
