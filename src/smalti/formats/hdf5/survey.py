"""What is where in an HDF5 file, found without following a link: every group, dataset and link, each once."""

from __future__ import annotations

from dataclasses import dataclass, field

import h5py

from smalti.contracts.violation import Violation, shown
from smalti.formats.source import Source

_MOST_HOPS = 16
_INSIDE = "copy the data into this file, e.g. with h5copy or h5py"


@dataclass(frozen=True, slots=True)
class Survey:
    """The places in a file, as paths without the leading slash.

    Attributes:
        datasets: those that keep their data in this file, reached by hard links, in the order of the file.
        links: path -> the path it stands for: soft links, and further hard links to a group.
        groups: every group that was looked into; "" is the root.
        elsewhere: path -> what is wrong, for what leads out of the file: nothing of it was opened or read.
        source: for messages.
    """

    source: Source
    datasets: dict[str, h5py.Dataset] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    groups: dict[str, h5py.Group] = field(default_factory=dict)
    elsewhere: dict[str, Violation] = field(default_factory=dict)

    def paths(self) -> list[str]:
        """Return every path of a dataset in this file, that of a link to one included."""
        return [*self.datasets, *(path for path in self.links if self.has(path))]

    def has(self, path: str) -> bool:
        """Tell whether there is a dataset at ``path``, or a link to one, in this file."""
        return self._resolved(path) in self.datasets

    def dataset(self, path: str) -> h5py.Dataset:
        """Return the dataset at ``path``, which ``has`` it."""
        return self.datasets[str(self._resolved(path))]

    def place(self, path: str) -> str:
        """Return where the dataset at ``path``, which ``has`` it, really is."""
        return str(self._resolved(path))

    def group(self, path: str) -> h5py.Group | None:
        """Return the group at ``path``, or None."""
        at = self._resolved(path)
        return self.groups.get(at) if isinstance(at, str) else None

    def fault(self, path: str) -> Violation | None:
        """Say why ``path`` leads to nothing in this file; None: it leads to something, or there is no such path."""
        at = self._resolved(path)
        if isinstance(at, Violation):
            return at
        if path in self.links and at not in self.datasets and at not in self.groups:
            return _misled(path, f"a link to {shown(at)}, where there is nothing")
        return None

    def faults(self) -> dict[str, Violation]:
        """Return every path that leads out of the file, in a circle or to nothing, and why."""
        found = {path: self.fault(path) for path in (*self.elsewhere, *self.links)}
        return {path: fault for path, fault in found.items() if fault}

    def _resolved(self, path: str) -> str | Violation:
        """Return the path that ``path`` stands for; nothing here is asked of HDF5, which would follow any link."""
        steps, at, hops = path.split("/"), "", 0
        while steps:
            step = steps.pop(0)
            if step in ("", "."):
                continue
            here = f"{at}/{step}".lstrip("/")
            if here in self.elsewhere:
                return self.elsewhere[here]
            if here not in self.links:
                at = here
                continue
            hops += 1
            if hops > _MOST_HOPS:
                return _misled(path, "links that lead in a circle")
            steps, at = [*self.links[here].split("/"), *steps], ""
        return at


def survey(file: h5py.File, source: Source) -> Survey:
    """Look at every link of the file, group by group, and at the header of each dataset.

    Raises:
        ContractBroken: there are too many, or too deep.
    """
    found = Survey(source)
    seen: dict[tuple[int, int], str] = {}
    waiting: list[tuple[str, h5py.Group]] = [("", file["/"])]
    while waiting:
        place, group = waiting.pop(0)
        found.groups[place] = group
        if place.count("/") >= source.limits.depth:
            raise _too_much(source, f"groups within groups, more than {source.limits.depth} deep", source.limits.depth)
        known = len(found.datasets) + len(found.links) + len(found.groups) + len(found.elsewhere)
        if len(group) + known > source.limits.objects:
            raise _too_much(source, f"{len(group)} or more groups and datasets", source.limits.objects)
        for name in group:
            path = f"{place}/{name}".lstrip("/")
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.SoftLink):
                found.links[path] = _absolute(link.path, place)
            elif isinstance(link, h5py.ExternalLink):
                found_there = f"a link into the file {shown(str(link.filename))}"
                found.elsewhere[path] = Violation(
                    "hdf5.external", shown(path), found_there, "data in this file", _INSIDE
                )
            else:
                _note(found, seen, waiting, path, group[name])
    return found


def _note(
    found: Survey,
    seen: dict[tuple[int, int], str],
    waiting: list[tuple[str, h5py.Group]],
    path: str,
    item: h5py.Group | h5py.Dataset | h5py.Datatype,
) -> None:
    if isinstance(item, h5py.Dataset):
        if outside := _outside(item, path):
            found.elsewhere[path] = outside
        else:
            found.datasets[path] = item
    elif isinstance(item, h5py.Group):
        info = h5py.h5o.get_info(item.id)
        if (first := seen.setdefault((info.fileno, info.addr), path)) == path:
            waiting.append((path, item))
        else:
            found.links[path] = first


def _outside(dataset: h5py.Dataset, path: str) -> Violation | None:
    """Say where a dataset keeps its data, if it is somewhere else; nothing of it has been read."""
    creation, place = dataset.id.get_create_plist(), f"dataset {shown(path)}"
    if creation.get_external_count():
        other = shown(creation.get_external(0)[0].decode(errors="replace"))
        return Violation("hdf5.external", place, f"data in the file {other}", "data in this file", _INSIDE)
    if creation.get_layout() == h5py.h5d.VIRTUAL:
        found = "a virtual dataset, which maps other files"
        return Violation("hdf5.virtual", place, found, "data in this file", _INSIDE)
    return None


def _misled(path: str, found: str) -> Violation:
    return Violation("hdf5.link", f"link {shown(path)}", found, "a place in this file", _INSIDE)


def _absolute(target: str, place: str) -> str:
    return target.lstrip("/") if target.startswith("/") else f"{place}/{target}".lstrip("/")


def _too_much(source: Source, found: str, most: int) -> Exception:
    remedy = "keep the arrays of one scan in a file"
    return source.refuse("hdf5.objects", "the file", found, f"at most {most}", remedy)
