"""GAN: two fully connected networks on a set of pictures (Goodfellow et al., NeurIPS 2014)."""

from gantool.families.gan.config import PRESETS, GANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="gan",
    title="GAN",
    year=2014,
    paper="Goodfellow et al.: Generative Adversarial Nets, NeurIPS 2014",
    summary="Many small pictures in, new ones like them out: the first GAN, fully connected.",
    data="set",
    config=GANConfig,
    tasks=("sample", "interpolate"),
    presets=PRESETS,
    model="gantool.families.gan.model:GAN",
    on_accelerator="fast",
    importer="gantool.families.gan.official:read_official",
    page="gan.md",
    memory_hint="Lower --batch, --hidden-g and --hidden-d, or --size.",
)
