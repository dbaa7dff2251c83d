"""Rows of tables as text: templates, converters, and what the columns of a table hold."""
