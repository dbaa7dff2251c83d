"""Objects, written once for every backend: how they are taken in, found, and verified."""
