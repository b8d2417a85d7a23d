"""SRGAN: super-resolution that draws plausible detail (Ledig et al., CVPR 2017)."""

from gantool.families.srgan.config import PRESETS, SRGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="srgan",
    title="SRGAN",
    year=2017,
    paper="Ledig et al.: Photo-Realistic Single Image Super-Resolution Using a Generative Adversarial Network, "
    "CVPR 2017",
    summary="Pictures in, a network that makes small pictures large; SRResNet, then the game.",
    data="set",
    config=SRGANConfig,
    tasks=("enlarge",),
    presets=PRESETS,
    model="gantool.families.srgan.model:SRGAN",
    page="srgan.md",
    memory_hint="Lower --batch, --size, --blocks or --channels.",
    next="gantool superres photo.jpg --model {run}",
)
