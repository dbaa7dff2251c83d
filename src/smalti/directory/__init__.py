"""A folder of arrays, tables and configuration with attribute access."""
