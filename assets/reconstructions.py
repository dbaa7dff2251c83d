"""Reconstructions: the object and probe that explain a scan."""

from contextlib import suppress
from dataclasses import replace

import dagster as dg

from assets.previews import picture
from assets.raw import SCANS
from resources import Compute, StoreResource
from smalti import Reconstruction, Ref
from smalti.errors import Refused
from smalti.products import object_pixel_m
from smalti.ptycho.previews import loss_preview, reconstruction_preview


class ReconstructionConfig(dg.Config):
    """Attributes:
    epochs: passes over all patterns; the solver's own default when left out.
    seed: decides their order.
    """

    epochs: int | None = None
    seed: int = 0


@dg.asset(
    partitions_def=SCANS,
    group_name="ptychography",
    kinds={"mlx"},
    description="Object and probe by automatic differentiation through the far field, from the network's guess.",
)
def reconstruction(
    context: dg.AssetExecutionContext,
    config: ReconstructionConfig,
    store: StoreResource,
    compute: Compute,
    scan: Ref,
    ptycho_checkpoint: Ref,
) -> Ref:
    answer = compute.run(
        context.log,
        "smalti.ptycho.solver:solve_stored",
        scan=scan.digest,
        checkpoint=ptycho_checkpoint.digest,
        settings=config.model_dump(exclude_none=True),
    )
    values = store.open()
    made: Reconstruction = values.get(answer["digest"])
    pixel_m = None  # a scan of unknown pixel size is drawn without a scale bar
    with suppress(Refused):
        pixel_m, _ = object_pixel_m(values.get(scan))
    context.add_output_metadata(
        {
            "preview": picture(reconstruction_preview(made, pixel_m), "object and probe"),
            "loss": picture(loss_preview(made.loss), "loss by epoch"),
            **made.metrics,
        }
    )
    return replace(values.ref(answer["digest"]), new_bytes=answer["new_bytes"])
