"""What an input is given: which value, of which partitions, in which form."""
