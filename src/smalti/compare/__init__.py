"""What differs between two values, read from their content: rows, columns, tensors, fields in physical units."""
