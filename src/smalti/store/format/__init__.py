"""How objects lie in bytes: records, leaf tables, cuts, recipes; pure functions, the same for every backend."""
