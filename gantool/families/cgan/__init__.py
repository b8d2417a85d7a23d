"""Conditional GAN: both networks are told the class (Mirza and Osindero 2014), and two later ways to tell it."""

from gantool.families.cgan.config import PRESETS, CGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="cgan",
    title="Conditional GAN",
    year=2014,
    paper="Mirza, Osindero: Conditional Generative Adversarial Nets, 2014",
    summary="Pictures with classes in, new ones of a class you name out.",
    data="set",
    classes="needed",
    config=CGANConfig,
    tasks=("sample", "interpolate"),
    presets=PRESETS,
    model="gantool.families.cgan.model:CGAN",
    on_accelerator="conv",
    page="cgan.md",
    memory_hint="Lower --batch, --ngf and --ndf, or raise --accumulate.",
)
