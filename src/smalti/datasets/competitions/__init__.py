"""Competitions: what they are, their tables as samples for a model, and the registry of them."""
