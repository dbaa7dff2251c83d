"""Light on its way: probe, aperture, modes, propagation to the detector."""
