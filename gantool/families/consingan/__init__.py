"""ConSinGAN: one picture in, a generator of pictures like it out (Hinz et al., WACV 2021)."""

from gantool.families.consingan.config import PRESETS, ConSinGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="consingan",
    title="ConSinGAN",
    year=2021,
    paper="Hinz, Fisher, Wang, Wermter: Improved Techniques for Training Single-Image GANs, WACV 2021",
    summary="One picture in, a generator of pictures like it out; any size, films, harmonising, edits.",
    config=ConSinGANConfig,
    presets=PRESETS,
    model="gantool.families.consingan.model:ConSinGAN",
    tasks=("sample", "animate", "harmonize", "edit", "superres"),
    task_presets={"harmonize": ("harmonize-fast", "harmonize"), "edit": ("edit-fast", "edit")},
    task_options={"harmonize": {"mode": "harmonization"}, "edit": {"mode": "editing"}},
    page="consingan.md",
    memory_hint="Halve --max-size, or train the large stages on crops with --crop 64.",
    weights_licence="official code and models: MIT",
)
