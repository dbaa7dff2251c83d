"""The laws of a store, for every place that keeps one: subclass ``StoreSuite``, give it your place, run pytest.

    class TestMine(StoreSuite):
        @pytest.fixture
        def objects(self): return MyObjects(...)
        @pytest.fixture
        def documents(self): return MyDocuments(...)
        @pytest.fixture
        def stored(self, objects, documents): return a mapping key -> bytes that does not go through them

The keys of ``stored`` are those of the layout: ``data/a3/a3f5.../metadata.json``, ``names/star/@000001.json``.
"""

from __future__ import annotations

from smalti.testing.laws_of_manifests import ManifestLaws
from smalti.testing.laws_of_safety import CollectionLaws, CrowdLaws, DamageLaws, PlaceLaws
from smalti.testing.laws_of_values import ManyLaws, ReferenceLaws, SliceLaws, ValueLaws


class StoreSuite(
    ValueLaws, ManyLaws, SliceLaws, ReferenceLaws, DamageLaws, CrowdLaws, CollectionLaws, ManifestLaws, PlaceLaws
):
    """Every law that does not depend on where a store is kept."""
