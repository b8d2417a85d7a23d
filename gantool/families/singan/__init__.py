"""SinGAN: one picture in, a pyramid of generators of pictures like it out (Shaham et al., ICCV 2019)."""

from gantool.families.singan.config import PRESETS, SinGANConfig
from gantool.family import FamilySpec

SPEC = FamilySpec(
    name="singan",
    title="SinGAN",
    year=2019,
    paper="Shaham, Dekel, Michaeli: SinGAN: Learning a Generative Model from a Single Natural Image, ICCV 2019",
    summary="One picture in, pictures like it out; harmonise, edit, paint, enlarge, animate.",
    config=SinGANConfig,
    presets=PRESETS,
    model="gantool.families.singan.model:SinGAN",
    tasks=("sample", "animate", "harmonize", "edit", "paint", "superres"),
    task_options={"superres": {"mode": "superres"}},
    importer="gantool.families.singan.official:read_official",
    page="singan.md",
    memory_hint="Halve --max-size, or lower --max-channels.",
    weights_licence="official code and models: MIT",
)
