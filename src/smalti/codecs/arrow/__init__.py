"""Arrow tables as canonical buffers, cut into batches by content, in one Arrow IPC file."""
