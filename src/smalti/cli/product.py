"""``smalti product``: NPZ scans to Ptychodus products and back, and the judgement of a product file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, the_store
from smalti.errors import SmaltiError

if TYPE_CHECKING:
    from smalti.products import Finding, ImportedProduct

app = typer.Typer(no_args_is_help=True, help="Write, read and judge Ptychodus products.")

ProductPath = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A product file, HDF5 or NPZ.")]
UNKNOWN = "Unknown when left out."


@app.command()
def export(
    *,
    input_npz: Annotated[Path, typer.Option(help="NPZ file with PtychoPINN's keys.")],
    output_product: Annotated[Path, typer.Option(help="File to write: .h5, .hdf5 or .npz.")],
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

    _require_suffix(output_product, "--output-product", ".h5", ".hdf5", ".npz")
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
        raise _cannot_be_converted(error) from error
    if as_json:
        print_json(_document(output_product, found))
        return
    for finding in found:
        typer.echo(str(finding), err=True)
    typer.echo(str(output_product))


@app.command("import")
def import_(
    path: ProductPath,
    output_npz: Annotated[Path | None, typer.Option(help="Write it as an NPZ file with PtychoPINN's keys.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Its name in the store; by default product/ and that of the file.")
    ] = None,
    store: StorePlace = None,
    as_json: AsJson = False,
) -> None:
    """Read a product into the store, or into an NPZ file, or both where both are named.

    The store keeps all of it: the product, and the patterns it carries as NAME/raw_data. What is wrong with it goes to
    stderr. Exit code 0: read; 2: usage; 3: it cannot be read, or not be told in an NPZ file.
    """
    from smalti.products import import_product, write_rawdata_npz

    if output_npz is not None:
        _require_suffix(output_npz, "--output-npz", ".npz")
    stored: dict[str, str] = {}
    try:
        found = _judged(path)
        imported = import_product(path)
        if output_npz is not None:
            write_rawdata_npz(output_npz, imported.rawdata())
        if output_npz is None or store is not None or name is not None:
            stored = _stored(imported, name or f"product/{path.stem}", store)
    except SmaltiError as error:
        raise _cannot_be_converted(error) from error
    if as_json:
        npz = str(output_npz) if output_npz else None
        print_json({**_document(path, found), "npz": npz, "stored": stored})
        return
    for finding in found:
        typer.echo(str(finding), err=True)
    if output_npz is not None:
        typer.echo(str(output_npz))
    for stored_name, digest in stored.items():
        typer.echo(f"{digest}  {stored_name}")


def _stored(imported: ImportedProduct, name: str, place: str | None) -> dict[str, str]:
    """Put the product, and the patterns it carries, into a store; return name -> digest."""
    from smalti.contracts import passed
    from smalti.errors import ContractBroken
    from smalti.store.values import Tree

    product = imported.product
    with suppress(ContractBroken):  # what is wrong has been told; it is kept all the same, without the mark
        product = passed(product, name)
    store = the_store(place)
    digests = {name: store.put(product, name).digest}
    if imported.patterns is not None:
        children, attrs = imported.patterns.parts()
        digests[f"{name}/raw_data"] = store.put(Tree(children, attrs), f"{name}/raw_data").digest
    return digests


@app.command()
def validate(path: ProductPath, as_json: AsJson = False) -> None:
    """Judge a product, each finding on a line. Exit code 0: sound; 1: an error; 2: usage."""
    try:
        found = _judged(path)
    except SmaltiError as error:
        if as_json:
            print_json({"product": str(path), "error": str(error)})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json(_document(path, found))
    else:
        errors = sum(finding.severity == "error" for finding in found)
        for finding in found:
            typer.echo(str(finding))
        typer.echo(f"{path}: errors {errors}, warnings {len(found) - errors}")
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(1)


def _judged(path: Path) -> tuple[Finding, ...]:
    from smalti.ingest.sandbox import Sandbox
    from smalti.products import Finding

    with Sandbox() as sandbox:
        answer = sandbox.call("smalti.products.judging:judge_product", path, {"path": str(path.absolute())})
    return tuple(Finding(**fields) for fields in answer["findings"])


def _require_suffix(path: Path, option: str, *suffixes: str) -> None:
    if path.suffix not in suffixes:
        raise typer.BadParameter(f"{path} does not end in {' or '.join(suffixes)}", param_hint=option)


def _cannot_be_converted(error: SmaltiError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(3)


def _document(product: Path, found: tuple[Finding, ...]) -> dict[str, object]:
    return {"product": str(product), "findings": [asdict(finding) for finding in found]}
