"""Iterative reconstruction by gradient descent: settings, initial state, optimizer, position and probe refinement."""
