"""What a table must be: its columns, their values, its rows, and what may change between versions."""
