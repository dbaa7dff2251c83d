"""``smalti product``: raw scans to Ptychodus products and back, and the validation of a product file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smalti.cli.options import AsJson, StorePlace, print_json, the_store
from smalti.errors import ContractBroken, SmaltiError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smalti.codecs.product import Product
    from smalti.contracts.result import ValidationResult
    from smalti.contracts.violation import Violation
    from smalti.scans.card import Card

app = typer.Typer(no_args_is_help=True, help="Write, read and validate Ptychodus products.")

ProductPath = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A product file, HDF5 or NPZ.")]
UNKNOWN = "What the scan and its card say when left out."


@app.command()
def export(
    *,
    input_npz: Annotated[
        Path, typer.Option(help="The scan: NPZ with PtychoPINN's keys, or what else `smalti validate` accepts.")
    ],
    output_product: Annotated[Path, typer.Option(help="File to write: .h5, .hdf5 or .npz.")],
    name: Annotated[str, typer.Option(help="The product's name; the scan's when left out.")] = "",
    comments: Annotated[str, typer.Option(help="What a person should know about it.")] = "",
    detector_distance_m: Annotated[float | None, typer.Option(help=f"{UNKNOWN} So with 0.")] = None,
    probe_energy_eV: Annotated[
        float | None, typer.Option("--probe-energy-eV", help=f"Photon energy. {UNKNOWN} So with 0.")
    ] = None,
    exposure_time_s: Annotated[float | None, typer.Option(help=f"Per position. {UNKNOWN} So with 0.")] = None,
    probe_photon_count: Annotated[float | None, typer.Option(help="Per pattern. Unknown when left out, or 0.")] = None,
    mass_attenuation_m2_kg: Annotated[float | None, typer.Option(help="Unknown when left out.")] = None,
    tomography_angle_deg: Annotated[float | None, typer.Option(help="Unknown when left out.")] = None,
    object_pixel_size_m: Annotated[
        float | None, typer.Option(help=f"{UNKNOWN} Where they say nothing, 5e-8 is assumed, and said.")
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
    include_diffraction: Annotated[
        bool, typer.Option(help="Carry the patterns in /raw_data. Without it they need not be in the file.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Convert a scan, read with its card, to a product; what an option states replaces what the card states.

    Exit code 0: written; 2: usage; 3: the scan cannot be converted.
    """
    from smalti.products import ExportMeta
    from smalti.products.convert import card_stating, contract_of_export, export_result
    from smalti.scans.shipped import card_for

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
        card = card_for(input_npz) if meta.physics() else None
        result = _in_sandbox(input_npz, contract_of_export(include_diffraction).id, card_stating(card, meta))
        violations = export_result(result, input_npz.name, output_product, meta, card, include_diffraction)
    except SmaltiError as error:
        raise _cannot_be_converted(error) from error
    if as_json:
        print_json(_document(output_product, violations))
        return
    _tell(violations, err=True)
    typer.echo(str(output_product))


def _in_sandbox(path: Path, contract: str, card: Card | None = None) -> ValidationResult:
    """Return what came of reading a foreign file and holding it to a contract, with its value where it is accepted."""
    from smalti.contracts.result import ValidationResult
    from smalti.ingest.sandbox import Sandbox

    with Sandbox() as sandbox:
        found = sandbox.validate(path, contract=contract, card=card, keep=True)
    told = found.document
    return ValidationResult(
        found.value,
        tuple(map(_violation, told["violations"])),
        tuple(told["conversions"]),
        contract=told["contract"] or "",
        refusal=told["reason"] or "",
    )


def _violation(fields: dict[str, Any]) -> Violation:
    from smalti.contracts.violation import Violation

    known = {name: value for name, value in fields.items() if name != "message"}
    return Violation(**{**known, "index": tuple(fields["index"])})


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

    The store keeps all of it: the product, with the patterns it carries, which are NAME/raw_data too. What is wrong
    with it goes to stderr. Exit code 0: read; 2: usage; 3: it cannot be read, or not be told in an NPZ file.
    """
    from smalti.products import ImportedProduct, write_rawdata_npz

    if output_npz is not None:
        _require_suffix(output_npz, "--output-npz", ".npz")
    stored: dict[str, str] = {}
    try:
        product, violations = _read_product(path)
        if output_npz is not None:
            write_rawdata_npz(output_npz, ImportedProduct(product).rawdata())
        if output_npz is None or store is not None or name is not None:
            stored = _stored(product, name or f"product/{path.stem}", store)
    except SmaltiError as error:
        raise _cannot_be_converted(error) from error
    if as_json:
        npz = str(output_npz) if output_npz else None
        print_json({**_document(path, violations), "npz": npz, "stored": stored})
        return
    _tell(violations, err=True)
    if output_npz is not None:
        typer.echo(str(output_npz))
    for stored_name, digest in stored.items():
        typer.echo(f"{digest}  {stored_name}")


def _read_product(path: Path) -> tuple[Product, tuple[Violation, ...]]:
    """Read the product in a foreign file, though there may be errors in it, and everything that is wrong with it."""
    from smalti.contracts.builtin.product import PRODUCT, READABLE_PRODUCT

    result = _in_sandbox(path, PRODUCT.id)
    if result.accepted:
        return result.value, result.violations
    readable = _in_sandbox(path, READABLE_PRODUCT.id)
    if not readable.accepted:
        raise ContractBroken(readable.refusal, readable.violations)
    return readable.value, result.violations


def _stored(product: Product, name: str, place: str | None) -> dict[str, str]:
    """Put the product, and the patterns it carries under a name of their own, into a store; return name -> digest."""
    from smalti.contracts import validated

    with suppress(ContractBroken):  # what is wrong has been told; it is kept all the same, without the mark
        product = validated(product, name)
    store = the_store(place)
    digests = {name: store.put(product, name).digest}
    if product.patterns is not None:
        digests[f"{name}/raw_data"] = store.put(product.patterns.tree(), f"{name}/raw_data").digest
    return digests


@app.command()
def validate(path: ProductPath, as_json: AsJson = False) -> None:
    """Validate a product, each violation on a line. Exit code 0: accepted; 1: an error; 2: usage."""
    from smalti.contracts.builtin.product import PRODUCT

    try:
        result = _in_sandbox(path, PRODUCT.id)
    except SmaltiError as error:
        if as_json:
            print_json({"product": str(path), "error": str(error)})
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if as_json:
        print_json(_document(path, result.violations))
    else:
        errors = sum(violation.severity == "error" for violation in result.violations)
        _tell(result.violations)
        typer.echo(f"{path}: errors {errors}, warnings {len(result.violations) - errors}")
    if not result.accepted:
        raise typer.Exit(1)


def _require_suffix(path: Path, option: str, *suffixes: str) -> None:
    if path.suffix not in suffixes:
        raise typer.BadParameter(f"{path} does not end in {' or '.join(suffixes)}", param_hint=option)


def _cannot_be_converted(error: SmaltiError) -> typer.Exit:
    typer.echo(str(error), err=True)
    return typer.Exit(3)


def _tell(violations: Iterable[Violation], *, err: bool = False) -> None:
    for violation in violations:
        typer.echo(f"{violation.severity}: {violation}", err=err)


def _document(product: Path, violations: Iterable[Violation]) -> dict[str, object]:
    told = [{**asdict(violation), "message": str(violation)} for violation in violations]
    return {"product": str(product), "violations": told}
