"""The report page of a value or a run: what it is, what it was made from, and how to make it again."""
