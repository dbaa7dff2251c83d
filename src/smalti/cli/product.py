"""``smalti product``: NPZ scans to Ptychodus products, and the judgement of a product file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, print_json
from smalti.errors import SmaltiError

if TYPE_CHECKING:
    from smalti.products import Finding

app = typer.Typer(no_args_is_help=True, help="Write and judge Ptychodus products.")

UNKNOWN = "Unknown when left out."


@app.command()
def export(
    *,
    input_npz: Annotated[Path, typer.Option(help="NPZ file with PtychoPINN's keys.")],
    output_product: Annotated[Path, typer.Option(help="HDF5 file to write: .h5 or .hdf5.")],
    name: Annotated[str, typer.Option(help="The product's name.")] = "",
    comments: Annotated[str, typer.Option(help="What a person should know about it.")] = "",
    detector_distance_m: Annotated[float | None, typer.Option(help=f"{UNKNOWN} So is 0.")] = None,
    probe_energy_eV: Annotated[
        float | None, typer.Option("--probe-energy-eV", help=f"Photon energy. {UNKNOWN} So is 0.")
    ] = None,
    exposure_time_s: Annotated[float | None, typer.Option(help=f"Per position. {UNKNOWN} So is 0.")] = None,
    probe_photon_count: Annotated[float | None, typer.Option(help=f"Per pattern. {UNKNOWN} So is 0.")] = None,
    mass_attenuation_m2_kg: Annotated[float | None, typer.Option(help=UNKNOWN)] = None,
    tomography_angle_deg: Annotated[float | None, typer.Option(help=UNKNOWN)] = None,
    object_pixel_size_m: Annotated[
        float | None, typer.Option(help="5e-8 is assumed, and noted in the comments, when left out.")
    ] = None,
    probe_pixel_size_m: Annotated[
        float | None, typer.Option(help="The object's when left out, as the far field demands.")
    ] = None,
    object_center_x_m: Annotated[
        float | None, typer.Option(help="Computed from the positions' frame when left out.")
    ] = None,
    object_center_y_m: Annotated[
        float | None, typer.Option(help="Computed from the positions' frame when left out.")
    ] = None,
    include_diffraction: Annotated[bool, typer.Option(help="Carry the patterns in /raw_data.")] = True,
    as_json: AsJson = False,
) -> None:
    """Convert an NPZ scan to a product. Exit code 0: written; 2: usage; 3: the scan cannot be converted."""
    from smalti.products import ExportMeta, export_npz

    if output_product.suffix not in (".h5", ".hdf5"):
        raise typer.BadParameter(f"{output_product} ends in neither .h5 nor .hdf5", param_hint="--output-product")
    meta = ExportMeta(
        name=name,
        comments=comments,
        detector_distance_m=detector_distance_m,
        probe_energy_eV=probe_energy_eV,
        exposure_time_s=exposure_time_s,
        probe_photon_count=probe_photon_count,
        mass_attenuation_m2_kg=mass_attenuation_m2_kg,
        tomography_angle_deg=tomography_angle_deg,
        object_pixel_width_m=object_pixel_size_m,
        object_pixel_height_m=object_pixel_size_m,
        probe_pixel_width_m=probe_pixel_size_m,
        probe_pixel_height_m=probe_pixel_size_m,
        object_center_x_m=object_center_x_m,
        object_center_y_m=object_center_y_m,
    )
    try:
        found = export_npz(input_npz, output_product, meta, include_diffraction)
    except SmaltiError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    if as_json:
        print_json(_document(output_product, found))
        return
    for finding in found:
        typer.echo(str(finding), err=True)
    typer.echo(str(output_product))


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A product file.")],
    as_json: AsJson = False,
) -> None:
    """Judge a product, each finding on a line. Exit code 0: sound; 1: an error; 2: usage."""
    from smalti.contracts.sandbox import in_sandbox
    from smalti.products import Finding

    try:
        answer = in_sandbox("smalti.datasets.verdict:judge_product", path, {"path": str(path)})
    except SmaltiError as error:
        if as_json:
            print_json({"product": str(path), "error": str(error)})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    found = tuple(Finding(**fields) for fields in answer["findings"])
    if as_json:
        print_json(_document(path, found))
    else:
        errors = sum(finding.severity == "error" for finding in found)
        for finding in found:
            typer.echo(str(finding))
        typer.echo(f"{path}: errors {errors}, warnings {len(found) - errors}")
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(1)


def _document(product: Path, found: tuple[Finding, ...]) -> dict[str, object]:
    return {"product": str(product), "findings": [asdict(finding) for finding in found]}
