"""Tables out of foreign files: CSV, TSV, JSON lines, Parquet, Arrow."""
