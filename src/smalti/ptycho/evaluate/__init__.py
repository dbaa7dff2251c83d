"""How good a reconstruction is: against the patterns, against another object, against itself."""
