"""Weights of published networks: which there are, where they lie on this machine, and how they get there."""
