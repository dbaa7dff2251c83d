"""Pictures of scans and reconstructions, and the output folder of a scan."""
