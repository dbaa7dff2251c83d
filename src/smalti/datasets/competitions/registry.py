"""The competitions that are known, and the dataset classes that read them."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.contracts.violation import shown
from smalti.datasets.competitions.discovery import Discovery, discover
from smalti.datasets.competitions.metadata import CompetitionMetadata, CompetitionType, competition_type_of
from smalti.datasets.competitions.registry_file import Competition, RegistryFile
from smalti.datasets.competitions.spec import DatasetSpec
from smalti.datasets.names import normal_name, unknown
from smalti.errors import NotFound, Refused
from smalti.settings import Settings

if TYPE_CHECKING:
    from smalti.datasets.competitions.dataset import KaggleDataset

_PATTERN = frozenset("*?[")


class DatasetRegistry:
    """The competitions registered under one root, in ``data/registry.json``; safe for many processes at once.

    A competition is found by any spelling of its name: ``House Prices``, ``house_prices``, ``house-prices``. Reading
    writes nothing, so a read-only root, or one that is not there, has an empty registry.

    Args:
        root: the folder that holds ``data``; by default that of the settings.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Settings().root if root is None else Path(root)
        self._file = RegistryFile(self.root / "data" / "registry.json")
        self._found = Discovery()

    def register_competition(
        self, competition_name: str, metadata: CompetitionMetadata, spec: DatasetSpec
    ) -> Competition:
        """Register a competition, in place of one of the same name; it is on disk when this returns.

        Raises:
            Refused: the name cannot be one, or the three do not speak of the same competition.
            Damaged: the registry's file cannot be read; it is left as it is.
            Unavailable: it cannot be written.
        """
        competition = Competition(normal_name(competition_name), metadata, spec)
        _check_agreement(competition)
        self._file.change(lambda known: {**known, competition.name: competition})
        return competition

    def competitions(self) -> dict[str, Competition]:
        """Return every competition by name, in order.

        Raises:
            Damaged, Unavailable: the registry's file cannot be read.
        """
        return dict(sorted(self._file.read().items()))

    def list_competitions(self) -> list[str]:
        """Return the names, in order; raises as ``competitions``."""
        return list(self.competitions())

    def search_competitions(
        self, competition_type: CompetitionType | str | None = None, name_pattern: str | None = None
    ) -> list[str]:
        """Return the names of the competitions that fit everything that is given, in order.

        Args:
            competition_type: what is to be predicted.
            name_pattern: a shell pattern such as ``house-*``; without ``*``, ``?`` or ``[``, a part of the name.

        Raises:
            Refused: the type is none of the ten.
        """
        wanted = None if competition_type is None else competition_type_of(competition_type)
        return [
            name
            for name, one in self.competitions().items()
            if (wanted is None or one.metadata.competition_type == wanted)
            and (name_pattern is None or _fits(name, name_pattern))
        ]

    def get(self, competition_name: str) -> Competition:
        """Return a competition.

        Raises:
            NotFound: it is not registered; the message lists those that are.
            Damaged, Unavailable: the registry's file cannot be read.
        """
        known = self.competitions()
        if competition := known.get(normal_name(competition_name)):
            return competition
        raise unknown(competition_name, known, "competition")

    def discover(self, folder: str | Path) -> Discovery:
        """Find dataset classes below a folder, for ``create_dataset``; see :func:`..discovery.discover`.

        Raises:
            NotFound: there is no such folder.
        """
        found = discover(Path(folder))
        failures = dict.fromkeys((*self._found.failures, *found.failures))
        self._found = Discovery({**self._found.classes, **found.classes}, tuple(failures))
        return found

    def dataset_classes(self) -> Mapping[str, type[KaggleDataset]]:
        """Return the dataset classes by name: those that come with smalti, then those that were discovered."""
        from smalti.datasets.house_prices import HousePricesDataset
        from smalti.datasets.titanic import TitanicDataset

        return {"titanic": TitanicDataset, "house-prices": HousePricesDataset, **self._found.classes}

    def create_dataset(self, competition_name: str, split: str = "train", **options: Any) -> KaggleDataset:
        """Return one split of a registered competition, read by the dataset class of its name.

        Classes in ``data/datasets`` of the root are discovered here. A relative ``dataset_path`` lies under the root.

        Args:
            options: passed on to the class, e.g. ``transform`` and ``cache_dir``.

        Raises:
            NotFound: there is no such competition, or no class for it; the message names files that do not run.
        """
        competition = self.get(competition_name)
        yours = self.root / "data" / "datasets"
        if competition.name not in self._found.classes and yours.is_dir():
            self.discover(yours)
        classes = self.dataset_classes()
        if competition.name not in classes:
            failures = "".join(f"\n{failure}." for failure in self._found.failures)
            raise NotFound(
                f"no dataset class reads {competition.name}; the classes are for {', '.join(sorted(classes))}. Put one "
                f"into {shown(str(yours))}, or discover its folder first.{failures}"
            )
        spec = replace(competition.spec, dataset_path=self.root / competition.spec.dataset_path)
        return classes[competition.name](spec, split=split, **options)


def _check_agreement(competition: Competition) -> None:
    metadata, spec = competition.metadata, competition.spec
    for what, name in (("metadata", metadata.competition_name), ("spec", spec.competition_name)):
        if normal_name(name) != competition.name:
            raise Refused(f"{competition.name} is to be registered with the {what} of {shown(name)}; give its own.")
    if metadata.competition_type != spec.competition_type:
        raise Refused(
            f"{competition.name} is {metadata.competition_type.value} in its metadata and "
            f"{spec.competition_type.value} in its spec; give one type."
        )


def _fits(name: str, pattern: str) -> bool:
    wanted = pattern.strip().lower().replace("_", "-").replace(" ", "-")
    return fnmatch.fnmatchcase(name, wanted) if _PATTERN & set(wanted) else wanted in name
