"""Measuring pictures: one module a kind of metric, and `measure`, which picks among them."""
