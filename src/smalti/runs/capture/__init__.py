"""Functions whose calls record themselves as runs."""
