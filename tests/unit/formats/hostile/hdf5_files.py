"""Hostile and broken HDF5 files: data elsewhere, links that mislead, sizes that lie, parts that do not fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.unit.formats.hostile.making import Case, sound


def written(fill: Callable[[h5py.File], Any], says: str, without: str = "diffraction", name: str = "scan.h5") -> Case:
    """The sound scan, less one array, and what ``fill`` does instead."""

    def make(path: Path) -> None:
        (path.parent / "other.h5").unlink(missing_ok=True)
        with h5py.File(path.parent / "other.h5", "w") as other:
            other["diffraction"] = sound()["diffraction"]
        with h5py.File(path, "w") as file:
            for key, array in sound().items():
                if key != without:
                    file[key] = array
            fill(file)

    return Case(make, says, name)


def damaged(change: Callable[[bytes], bytes], says: str) -> Case:
    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            for key, array in sound().items():
                file[key] = array
        path.write_bytes(change(path.read_bytes()))

    return Case(make, says, "scan.h5")


def cxi(fill: Callable[[h5py.Group], Any], says: str) -> Case:
    """A CXI file with patterns, and what ``fill`` does to its entry."""

    def make(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["entry_1/instrument_1/detector_1/data"] = np.rint(sound()["diffraction"] ** 2).astype("u2")
            fill(file["entry_1"])

    return Case(make, says, "scan.cxi")


def external_storage(target: str) -> Callable[[h5py.File], Any]:
    return lambda file: file.create_dataset("diffraction", (4, 4), "f4", external=[(target, 0, 64)])


def external_link(path: str, target: str) -> Callable[[h5py.Group], Any]:
    return lambda group: group.__setitem__(path, h5py.ExternalLink(target, "/diffraction"))


def dataset(path: str, data: Any) -> Callable[[h5py.Group], Any]:
    return lambda group: group.create_dataset(path, data=data)


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((12, 16, 16), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "diffraction", (12, 16, 16))
    file.create_virtual_dataset("diffraction", layout)


def virtual_on_itself(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((12, 16, 16), "f4")
    layout[:] = h5py.VirtualSource(".", "diffraction", (12, 16, 16))
    file.create_virtual_dataset("diffraction", layout)


def soft(path: str, target: str) -> Callable[[h5py.Group], Any]:
    return lambda group: group.__setitem__(path, h5py.SoftLink(target))


def soft_to_external(file: h5py.File) -> None:
    file["a"], file["diffraction"] = h5py.ExternalLink("other.h5", "/"), h5py.SoftLink("/a/diffraction")


def soft_circle(file: h5py.File) -> None:
    file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")


def nested(file: h5py.File) -> None:
    group = file
    for _ in range(300):
        group = group.create_group("g")


def crowded(file: h5py.File) -> None:
    for i in range(5000):
        file.create_group(f"g{i}")


def never_written(file: h5py.File) -> None:
    file.create_dataset("diffraction", (1 << 20, 1024, 1024), "f4")


def hollow(file: h5py.File) -> None:
    file.create_dataset("diffraction", (1 << 12, 1024, 1024), "f4", chunks=(1, 1024, 1024))


def bomb(file: h5py.File) -> None:
    chunk = (28, 256, 256)
    zeros = file.create_dataset("diffraction", (160 * 28, 256, 256), "f4", chunks=chunk, compression="gzip")
    zeros[:28] = 0
    packed = zeros.id.read_direct_chunk((0, 0, 0))[1]
    for first in range(28, len(zeros), 28):
        zeros.id.write_direct_chunk((first, 0, 0), packed)


def half_written(file: h5py.File) -> None:
    patterns = file.create_dataset("diffraction", (12, 16, 16), "f4", chunks=(3, 16, 16))
    patterns[:3], patterns[6:9] = sound()["diffraction"][:3], sound()["diffraction"][6:9]


def still_open(path: Path) -> None:
    """A copy of what a writer has on the disk before it closes the file."""
    being_written = path.with_suffix(".writing")
    with h5py.File(being_written, "w", libver="latest") as file:
        for key, array in sound().items():
            file[key] = array
        file.flush()
        shutil.copy(being_written, path)
    being_written.unlink()


def second_entry(entry: h5py.Group) -> None:
    entry.file["entry_2/data_1/data"] = entry["instrument_1/detector_1/data"][()]


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("diffraction", (12, 16, 16), "f4", maxshape=(None, None, None), chunks=(1 << 16, 64, 64))


def tiny_chunks(file: h5py.File) -> None:
    file.create_dataset("diffraction", (60 << 20,), "u1", chunks=(1,))


def foreign_filter(file: h5py.File) -> None:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_chunk((1, 16, 16))
    creation.set_filter(32013, h5py.h5z.FLAG_OPTIONAL, (0, 2))
    h5py.h5d.create(file.id, b"diffraction", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((12, 16, 16)), creation)


def reference(file: h5py.File) -> None:
    file.create_dataset("diffraction", (2,), h5py.ref_dtype)[0] = file["xcoords"].ref


def units(value: Any) -> Callable[[h5py.Group], Any]:
    def fill(entry: h5py.Group) -> None:
        entry["data_1/translation"] = np.ones((12, 3))
        entry["data_1/translation"].attrs["units"] = value

    return fill


CASES = {
    # data elsewhere
    "external link": written(external_link("diffraction", "other.h5"), "other.h5"),
    "external link to a secret": written(external_link("diffraction", "/etc/passwd"), "passwd"),
    "link to an external link": written(soft_to_external, "other.h5"),
    "external storage": written(external_storage("/etc/passwd"), "data in the file /etc/passwd"),
    "external storage beside it": written(external_storage("other.h5"), "data in the file other.h5"),
    "virtual dataset": written(virtual, "a virtual dataset"),
    "virtual dataset on itself": written(virtual_on_itself, "a virtual dataset"),
    # links that mislead
    "soft link to nothing": written(soft("diffraction", "/nowhere"), "where there is nothing"),
    "soft link out": written(soft("diffraction", "/../../etc/passwd"), "where there is nothing"),
    "soft link to itself": written(soft("diffraction", "/diffraction"), "a circle"),
    "soft links in a circle": written(soft_circle, "wanted diffraction"),
    "group in itself": written(lambda f: f.create_group("g").__setitem__("g", f["g"]), "wanted diffraction"),
    "root in itself": written(lambda f: f.__setitem__("root", f["/"]), "wanted diffraction"),
    "300 groups deep": written(nested, "deep"),
    "5000 groups": written(crowded, "at most 4096"),
    # sizes that lie
    "declares 4 TB": written(never_written, "0 bytes of data"),
    "16 GB of nothing": written(hollow, "at most"),
    "deflate bomb": written(bomb, "at most"),
    "chunks of 1 GB": written(huge_chunk, "a chunk of dataset diffraction"),
    "60 million chunks": written(tiny_chunks, "larger chunks"),
    "written in part": written(half_written, "patterns 3 to 5, 9 to 11 were never written"),
    # types and filters
    "ZFP": written(foreign_filter, "h5repack"),
    "references": written(reference, "plain numbers"),
    "compound": written(dataset("diffraction", np.zeros(3, "i4,f8")), "plain numbers"),
    "ragged": written(lambda f: f.create_dataset("diffraction", (3,), h5py.vlen_dtype("f4")), "plain numbers"),
    "opaque": written(dataset("diffraction", np.zeros(3, "V8")), "plain numbers"),
    "text for patterns": written(dataset("diffraction", "patterns"), "wanted diffraction"),
    "null": written(dataset("diffraction", h5py.Empty("f4")), "no values at all"),
    "group for patterns": written(lambda f: f.create_group("diffraction"), "wanted diffraction"),
    # damage
    "only a signature": damaged(lambda data: data[:8], "a whole HDF5 file"),
    "cut in half": damaged(lambda data: data[: len(data) // 2], "a whole HDF5 file"),
    "cut by a byte": damaged(lambda data: data[:-1], "a whole HDF5 file"),
    "superblock of ones": damaged(lambda data: data[:8] + b"\xff" * 88 + data[96:], "a whole HDF5 file"),
    "open for writing": Case(still_open, "has not closed", "scan.h5"),
    "root elsewhere": damaged(lambda data: data[:64] + b"\xfe" * 8 + data[72:], "copy the file again"),
    "heap of ones": damaged(lambda data: data.replace(b"HEAP", b"\xff\xff\xff\xff"), "copy the file again"),
    "tree of ones": damaged(lambda data: data.replace(b"TREE", b"\xff\xff\xff\xff"), "copy the file again"),
    "nothing in it": Case(lambda path: h5py.File(path, "w").close(), "wanted diffraction", "scan.h5"),
    "a product without patterns": written(dataset("probe_position_x_m", np.ones(3)), "wanted diffraction"),
    # CXI
    "CXI without positions": cxi(lambda entry: None, "xcoords"),
    "CXI of either motion": cxi(dataset("data_1/translation", np.eye(12, 3)), "positions_if_sample_moved"),
    "CXI with flat positions": cxi(dataset("data_1/translation", np.ones(12)), "shape (N, 3), in m"),
    "CXI in furlongs": cxi(units("furlong"), "the unit 'furlong'"),
    "CXI with an endless unit": cxi(units("m" * 60_000), "the unit"),
    "CXI without patterns": cxi(lambda entry: entry.pop("instrument_1"), "diffraction"),
    "CXI with a link out": cxi(external_link("data_1/data", "other.h5"), "other.h5"),
    "CXI with a link to nothing": cxi(soft("data_1/data", "/entry_9/data"), "where there is nothing"),
    "CXI with a mask for each pattern": cxi(
        dataset("instrument_1/detector_1/mask", np.eye(12).reshape(12, 3, 4).astype("u4")), "one (H, W) bit field"
    ),
    "CXI with a mask of fractions": cxi(dataset("instrument_1/detector_1/mask", np.eye(16) / 2), "one (H, W) bit"),
    "CXI of two scans": cxi(second_entry, "scans in entry_1 and entry_2"),
}  # fmt: skip
