"""Trainer, run directories, checkpoints and devices; never names a network."""
