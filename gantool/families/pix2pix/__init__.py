"""pix2pix: from pictures of one kind to pictures of another, learnt from pairs (Isola et al., CVPR 2017)."""

from gantool.families.pix2pix.config import PRESETS, Pix2PixConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="pix2pix",
    title="pix2pix",
    year=2017,
    paper="Isola et al.: Image-to-Image Translation with Conditional Adversarial Networks, CVPR 2017",
    summary="Pairs of pictures in, a network that makes the second of the first.",
    data="set",
    config=Pix2PixConfig,
    tasks=("translate",),
    presets=PRESETS,
    model="gantool.families.pix2pix.model:Pix2Pix",
    importer="gantool.families.pix2pix.official:read_official",
    page="pix2pix.md",
    example="pairs/",
    memory_hint="Lower --batch, --size, --width-g or --width-d.",
    next="gantool translate {run} photo.jpg",
)
