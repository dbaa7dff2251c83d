"""What runs read, wrote and ran on: the store people record runs in, the decorator, views and lineage."""
