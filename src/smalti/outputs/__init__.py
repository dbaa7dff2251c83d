"""Outputs for people: a folder that is replaced as a whole, and figures."""
