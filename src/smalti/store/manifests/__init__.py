"""What each run read, wrote and ran on: manifests, found by run and by value."""

from smalti.store.manifests.collection import Manifests, now, outdated, past
from smalti.store.manifests.lineage import Hop
from smalti.store.manifests.manifest import Manifest, Step, Use
from smalti.store.manifests.reading import UnreadManifests
from smalti.store.manifests.views import Mended

__all__ = ["Hop", "Manifest", "Manifests", "Mended", "Step", "UnreadManifests", "Use", "now", "outdated", "past"]
