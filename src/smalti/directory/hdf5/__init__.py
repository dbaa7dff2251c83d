"""Arrays in HDF5 files of their own: read while others write, replaced whole, extended in place."""
