"""Probe, pupil, aperture and modes, and propagation to the detector."""
