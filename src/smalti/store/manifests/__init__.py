"""What each run read, wrote and ran on: manifests, found by run and by value."""

from smalti.store.manifests.collection import Manifests, UnreadManifests, now, outdated
from smalti.store.manifests.lineage import Hop
from smalti.store.manifests.manifest import Manifest, Step, Use

__all__ = ["Hop", "Manifest", "Manifests", "Step", "UnreadManifests", "Use", "now", "outdated"]
