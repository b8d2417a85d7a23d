"""AC-GAN: the generator is told the class, the discriminator has to say it (Odena et al., ICML 2017)."""

from gantool.families.acgan.config import PRESETS, ACGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="acgan",
    title="AC-GAN",
    year=2017,
    paper="Odena, Olah, Shlens: Conditional Image Synthesis with Auxiliary Classifier GANs, ICML 2017",
    summary="Pictures with classes in, new ones that a classifier learned along tells apart.",
    data="set",
    classes="needed",
    config=ACGANConfig,
    tasks=("sample", "interpolate"),
    presets=PRESETS,
    model="gantool.families.acgan.model:ACGAN",
    page="acgan.md",
    memory_hint="Lower --batch, --ngf and --ndf, or raise --accumulate.",
)
