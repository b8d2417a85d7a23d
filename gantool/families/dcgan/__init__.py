"""DCGAN: convolutional generator and discriminator on a set of pictures (Radford et al., ICLR 2016)."""

from gantool.families.dcgan.config import PRESETS, DCGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="dcgan",
    title="DCGAN",
    year=2016,
    paper="Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative "
    "Adversarial Networks, ICLR 2016",
    summary="Many pictures in, new ones like them out; also as WGAN, WGAN-GP and SN-GAN.",
    data="set",
    config=DCGANConfig,
    tasks=("sample", "interpolate"),
    presets=PRESETS,
    model="gantool.families.dcgan.model:DCGAN",
    on_accelerator="examples",
    importer="gantool.families.dcgan.official:read_official",
    page="dcgan.md",
    memory_hint="Lower --batch, --ngf and --ndf, or raise --accumulate.",
)
