"""LAPGAN: a pyramid of conditional GANs that draws from coarse to fine (Denton et al., NIPS 2015)."""

from gantool.families.lapgan.config import PRESETS, LAPGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="lapgan",
    title="LAPGAN",
    year=2015,
    paper="Denton et al.: Deep Generative Image Models using a Laplacian Pyramid of Adversarial Networks, NIPS 2015",
    summary="Many pictures in, new ones like them out, drawn from coarse to fine, level by level.",
    data="set",
    classes="used",
    config=LAPGANConfig,
    tasks=("sample", "interpolate"),
    presets=PRESETS,
    model="gantool.families.lapgan.model:LAPGAN",
    on_accelerator="eyescream",
    page="lapgan.md",
    memory_hint="Lower --batch, --width-g and --width-d, or raise --accumulate.",
)
