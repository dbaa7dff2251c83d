"""Reconstructions of scans, and their resolution from split halves."""

from collections.abc import Iterator
from dataclasses import replace
from enum import Enum
from typing import Any

import dagster as dg
from pydantic import Field

from assets.automation import on_new_content
from assets.code_versions import code_version
from assets.outputs import shown_scan
from assets.partitions import SCANS
from assets.previews import curve, numbers_of, picture
from resources import COMPUTE_POOL, Compute, StoreResource
from resources.run_config import StepConfig
from smalti import Reconstruction, Ref
from smalti.codecs.scan import open_scan
from smalti.errors import Refused
from smalti.ptycho.evaluate.frc import FrcResult
from smalti.ptycho.report.outputs import (
    RECONSTRUCTION,
    SCAN,
    arrays_digest,
    reconstruction_part,
    resolution_part,
)
from smalti.ptycho.report.thumbnails import frc_crossing, frc_curves, loss_curves, reconstruction_thumbnail

EXPLAINS = "explains_the_scan"
_WORST_R_FACTOR = 0.5
_SOLVER = ("smalti.ptycho.solve", "smalti.ptycho.optics", "smalti.ptycho.losses", "smalti.ptycho.forward")


class Loss(Enum):
    """How a computed pattern is compared with the measured one."""

    amplitude = "amplitude"
    absolute = "absolute"
    poisson = "poisson"


class SearchProbe(Enum):
    """Whether the probe is searched for before the object is."""

    without_guess = None
    always = True
    never = False


class ReconstructionConfig(StepConfig, step="reconstruction"):
    """Loss and modes are those for measured scans, see docs/ptychography.md; others are the solver's defaults."""

    epochs: int = Field(60, ge=1, description="Passes over all patterns, at least 1.")
    seed: int = Field(0, ge=0, description="Decides the order of the patterns.")
    loss: Loss = Field(Loss.absolute, description="How a computed pattern is compared with the measured one.")
    probe_modes: int = Field(
        3,
        ge=1,
        description="Modes of a partly coherent beam, at least 1; as many as the probe guess has, if it has more.",
    )
    refine_positions_from: int = Field(
        0, ge=0, description="The first epoch, counted from 1, that refines positions; 0: none does."
    )
    search_probe: SearchProbe = Field(
        SearchProbe.without_guess, description="Search for the probe first: where the scan has no guess, always, never."
    )

    def settings(self, guessed_modes: int) -> dict[str, Any]:
        """Return the fields of SolverSettings; a probe guess has so many modes, 0 without one."""
        return {
            "epochs": self.epochs,
            "seed": self.seed,
            "loss": self.loss.value,
            "probe_modes": max(self.probe_modes, guessed_modes),
            "refine_positions_from": self.refine_positions_from or None,
            "search_probe": self.search_probe.value,
        }


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"mlx"},
    pool=COMPUTE_POOL,
    code_version=code_version(*_SOLVER),
    automation_condition=on_new_content("ptycho_checkpoint"),
    check_specs=[
        dg.AssetCheckSpec(
            EXPLAINS,
            asset="reconstruction",
            blocking=True,
            description=f"The R-factor over all patterns is below {_WORST_R_FACTOR}: the object explains the scan.",
        )
    ],
    description="Object and probe by gradient descent through the forward model; the initial object is the network's. "
    "Pictures, metrics and the log are in `outputs/<scan>/`.",
)
def reconstruction(
    context: dg.AssetExecutionContext,
    config: ReconstructionConfig,
    store: StoreResource,
    compute: Compute,
    scan: Ref,
    ptycho_checkpoint: Ref,
) -> Iterator[dg.Output[Ref] | dg.AssetCheckResult]:
    values, lines = store.open(), list[str]()
    opened = open_scan(values, scan.digest)
    guessed = 0 if opened.probe_guess is None else len(opened.probe_guess)
    answer = compute.run(
        context.log,
        "smalti.ptycho.stored:solve_stored",
        lines=lines,
        scan=scan.digest,
        checkpoint=ptycho_checkpoint.digest,
        settings=config.settings(guessed),
    )
    made: Reconstruction = values.get(answer["digest"])
    arrays = arrays_digest(values.record(scan.digest).children)
    made_from = {SCAN: scan.digest, "ptycho_checkpoint": ptycho_checkpoint.digest}
    metadata = {
        "preview": picture(reconstruction_thumbnail(made), "amplitude and phase of the object"),
        "loss": curve(loss_curves(made.loss), "loss by epoch", "epoch"),
        **shown_scan(
            context,
            reconstruction_part(opened, made, answer["digest"], made_from, lines, arrays),
        ),
        **numbers_of(made.metrics),
    }
    yield dg.Output(replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"]), metadata=metadata)
    yield explains_the_scan(context.partition_key, float(made.metrics["r_factor"]))


def explains_the_scan(scan: str, r_factor: float) -> dg.AssetCheckResult:
    """Return whether a reconstruction is near enough to what was measured to make a product of it."""
    passed = r_factor < _WORST_R_FACTOR
    return dg.AssetCheckResult(
        check_name=EXPLAINS,
        passed=passed,
        description=f"{scan}: the R-factor is {r_factor:.3g}, "
        + ("below" if passed else "not below")
        + f" {_WORST_R_FACTOR}",
        metadata={"scan": scan, "r_factor": r_factor},
    )


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"mlx"},
    pool=COMPUTE_POOL,
    code_version=code_version(*_SOLVER, "smalti.ptycho.evaluate"),
    automation_condition=on_new_content("reconstruction"),
    description="Fourier ring correlation of two reconstructions, from the even and from the odd patterns. "
    "A scan whose scanned area is too small for it has none.",
    output_required=False,
)
def resolution(
    context: dg.AssetExecutionContext,
    store: StoreResource,
    compute: Compute,
    scan: Ref,
    reconstruction: Ref,
) -> Iterator[dg.Output[Ref]]:
    values, lines = store.open(), list[str]()
    request = {"scan": scan.digest, "settings": values.get(reconstruction).config["settings"]}
    try:
        answer = compute.run(context.log, "smalti.ptycho.stored:frc_stored", lines=lines, **request)
    except Refused as error:
        context.log.warning(str(error))
        return
    frc = FrcResult.from_stored(values.get(answer["digest"]))
    arrays = arrays_digest(values.record(scan.digest).children)
    made_from = {SCAN: scan.digest, RECONSTRUCTION: reconstruction.digest}
    metadata = {
        "curve": curve(frc_curves(frc), "Fourier ring correlation of the halves", "of Nyquist", frc_crossing(frc)),
        **shown_scan(context, resolution_part(frc, answer["digest"], made_from, lines, arrays)),
        **numbers_of(frc.metrics()),
    }
    yield dg.Output(replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"]), metadata=metadata)
