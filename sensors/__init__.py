"""What starts by itself: what arrives is ingested, what was ingested is worked on, what ran is recorded."""
