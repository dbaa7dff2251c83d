"""Reconstructions of scans, and their resolution from split halves."""

from collections.abc import Iterator
from dataclasses import replace

import dagster as dg

from assets.outputs import shown_scan
from assets.previews import curve, numbers_of, picture
from assets.raw import SCANS
from resources import Compute, StoreResource
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
    scan_part,
)
from smalti.ptycho.report.thumbnails import frc_crossing, frc_curves, loss_curves, reconstruction_thumbnail


class ReconstructionConfig(dg.Config):
    """Loss and modes are those for measured scans, see docs/ptychography.md; others are the solver's defaults.

    Attributes:
    epochs: passes over all patterns.
    seed: decides their order.
    loss: amplitude, absolute or poisson.
    probe_modes: modes of a partly coherent beam; at least as many as the probe guess has.
    refine_positions_from: the first epoch, counted from 1, that refines positions; by default none does.
    search_probe: search for the probe first; by default only if the scan has no probe guess.
    """

    epochs: int | None = None
    seed: int = 0
    loss: str = "absolute"
    probe_modes: int = 3
    refine_positions_from: int | None = None
    search_probe: bool | None = None


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"mlx"},
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
) -> Ref:
    values, lines = store.open(), list[str]()
    opened = open_scan(values, scan.digest)
    guessed = 0 if opened.probe_guess is None else len(opened.probe_guess)
    settings = config.model_dump(exclude_none=True) | {"probe_modes": max(config.probe_modes, guessed)}
    answer = compute.run(
        context.log,
        "smalti.ptycho.stored:solve_stored",
        lines=lines,
        scan=scan.digest,
        checkpoint=ptycho_checkpoint.digest,
        settings=settings,
    )
    made: Reconstruction = values.get(answer["digest"])
    arrays = arrays_digest(values.record(scan.digest).children)
    made_from = {SCAN: scan.digest, "ptycho_checkpoint": ptycho_checkpoint.digest}
    context.add_output_metadata(
        {
            "preview": picture(reconstruction_thumbnail(made), "amplitude and phase of the object"),
            "loss": curve(loss_curves(made.loss), "loss by epoch", "epoch"),
            **shown_scan(
                context,
                scan_part(opened, scan.digest, arrays),
                reconstruction_part(opened, made, answer["digest"], made_from, lines, arrays),
            ),
            **numbers_of(made.metrics),
        }
    )
    return replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"])


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"mlx"},
    description="Fourier ring correlation of two reconstructions, from the even and from the odd patterns. "
    "A scan whose scanned area is too small for it has none.",
    output_required=False,
)
def resolution(
    context: dg.AssetExecutionContext, store: StoreResource, compute: Compute, scan: Ref, reconstruction: Ref
) -> Iterator[dg.Output[Ref]]:
    values, lines = store.open(), list[str]()
    settings = values.get(reconstruction).config["settings"]
    request = {"scan": scan.digest, "settings": settings}
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
