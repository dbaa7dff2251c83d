"""What a value was made from, told to others: a report page and an RO-Crate."""
