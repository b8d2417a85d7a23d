"""Spatial GAN: textures of any size from one picture (Jetchev, Bergmann, Vollgraf, 2016)."""

from gantool.family import FamilySpec
from gantool_spatialgan.config import PRESETS, SpatialGANConfig

SPEC = FamilySpec(
    name="spatialgan",
    title="Spatial GAN",
    year=2016,
    paper="Jetchev, Bergmann, Vollgraf: Texture Synthesis with Spatial Generative Adversarial Networks, 2016",
    summary="One picture of a texture in, that texture at any size out.",
    config=SpatialGANConfig,
    presets=PRESETS,
    model="gantool_spatialgan.model:SpatialGAN",  # a path, not the class: listing families imports no torch
    on_accelerator="full",
)
