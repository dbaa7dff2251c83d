"""From diffraction patterns to an object: geometry, forward model, probe, solver, and how good the outcome is.

Nothing is imported here: ``solver``, ``propagation`` and ``network`` load mlx, ``geometry`` and ``metrics`` do not.
"""
