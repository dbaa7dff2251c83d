"""The solver: settings, first state, optimizer, and the loop over a scan."""
