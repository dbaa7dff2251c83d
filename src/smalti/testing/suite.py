"""The laws of a store, for every backend: subclass ``StoreSuite``, give it your backend, run pytest.

    class TestMine(StoreSuite):
        @pytest.fixture
        def backend(self): return MyBackend(...)
        @pytest.fixture
        def stored(self, backend): return a mapping key -> bytes that does not go through it

The keys of ``stored`` are those of the layout: ``data/a3/a3f5.../metadata.json``, ``names/star/@000001.json``; it
leaves out ``store.json``, and the notes of collections and checks (``condemned/``, ``checks/``, ``checked/``).
"""

from __future__ import annotations

from smalti.testing.conformance_collection import CollectionLaws
from smalti.testing.conformance_maintenance import MaintenanceLaws
from smalti.testing.conformance_manifests import ManifestLaws
from smalti.testing.conformance_safety import BackendLaws, CrowdLaws, DamageLaws
from smalti.testing.conformance_values import ManyLaws, ReferenceLaws, SliceLaws, ValueLaws
from smalti.testing.conformance_writing import ChangingLaws, HintLaws


class StoreSuite(
    ValueLaws,
    ManyLaws,
    SliceLaws,
    ReferenceLaws,
    DamageLaws,
    HintLaws,
    ChangingLaws,
    CrowdLaws,
    CollectionLaws,
    ManifestLaws,
    MaintenanceLaws,
    BackendLaws,
):
    """Every law that does not depend on where a store is kept."""
