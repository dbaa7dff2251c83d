"""Looking after a store: collection, checks, transfers, differences, statistics."""
