"""The published networks that measures are defined by: names, files, addresses, hashes, licences."""

from __future__ import annotations

from dataclasses import dataclass

from gantool.errors import UsageError

FULL = 64  # hex digits of a whole sha256


@dataclass(frozen=True)
class Edition:
    """Another published file that serves as well: another name for the same content, or an older edition.

    Attributes:
        file: its name.
        sha256: as in `Weights`.
    """

    file: str
    sha256: str


@dataclass(frozen=True)
class Weights:
    """One network's published weights.

    Attributes:
        name: what gantool calls it.
        title: the network, and what it was trained on.
        file: the file's name, as published.
        url: where its authors publish it.
        size: in bytes; None if nobody says it.
        sha256: lower-case hex digits of the content's hash: all 64, or the first ones where no more is known
            (torch hub's file names carry 8, and torch hub itself checks no more than these).
        licence: SPDX identifier of what it was published under.
        used_by: the measures and losses that need it.
        others: other published files of the same network that are taken as well.
    """

    name: str
    title: str
    file: str
    url: str
    size: int | None
    sha256: str
    licence: str
    used_by: tuple[str, ...]
    others: tuple[Edition, ...] = ()

    @property
    def editions(self) -> tuple[Edition, ...]:
        """Every file that is taken, the preferred one first."""
        return (Edition(self.file, self.sha256), *self.others)

    def matches(self, sha256: str) -> bool:
        """Whether a content of this (full) hash is one of the published files."""
        return any(sha256.startswith(edition.sha256) for edition in self.editions)


_TORCHVISION = "https://download.pytorch.org/models/"
_LPIPS = "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/weights/v0.1/"

# Sizes and hashes: torchvision's code states the first 8 hex digits (in the file names) and the sizes in MiB to
# three places, and so do torch-fidelity and pytorch-fid for the digits of Inception. All digits and the bytes are as
# several independent public projects pin them, and they agree with those statements. They were not recomputed from
# the files here, except for the three of LPIPS, which were.
CATALOGUE: tuple[Weights, ...] = (
    Weights(
        name="inception-2015",
        title="Inception v3 of 2015-12-05, ImageNet: the network of FID, ported from TensorFlow",
        file="weights-inception-2015-12-05-6726825d.pth",
        url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        size=95_628_359,
        sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        licence="Apache-2.0",
        used_by=("fid", "kid", "is", "prdc"),
        # pytorch-fid's release; the same bytes.
        others=(
            Edition(
                "pt_inception-2015-12-05-6726825d.pth",
                "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            ),
        ),
    ),
    Weights(
        name="inception-torchvision",
        title="Inception v3, ImageNet: torchvision's",
        file="inception_v3_google-0cc3c7bd.pth",
        url=_TORCHVISION + "inception_v3_google-0cc3c7bd.pth",
        size=108_949_747,
        sha256="0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
        licence="BSD-3-Clause",
        used_by=("sifid",),
        # The edition that SIFID was published with.
        others=(
            Edition(
                "inception_v3_google-1a9a5a14.pth",
                "1a9a5a14f40645a370184bd54f4e8e631351e71399112b43ad0294a79da290c8",
            ),
        ),
    ),
    Weights(
        name="vgg19",
        title="VGG-19, ImageNet: torchvision's",
        file="vgg19-dcbb9e9d.pth",
        url=_TORCHVISION + "vgg19-dcbb9e9d.pth",
        size=574_673_361,
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
        licence="BSD-3-Clause",
        used_by=("content losses",),
    ),
    Weights(
        name="vgg16",
        title="VGG-16, ImageNet: torchvision's",
        file="vgg16-397923af.pth",
        url=_TORCHVISION + "vgg16-397923af.pth",
        size=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        licence="BSD-3-Clause",
        used_by=("lpips",),
    ),
    Weights(
        name="alexnet",
        title="AlexNet, ImageNet: torchvision's",
        file="alexnet-owt-7be5be79.pth",
        url=_TORCHVISION + "alexnet-owt-7be5be79.pth",
        size=244_408_911,
        sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        licence="BSD-3-Clause",
        used_by=("lpips",),
        others=(
            Edition(
                "alexnet-owt-4df8aa71.pth",
                "4df8aa717fd11ab2d34e9483c5984ef7cdbefd732366a836076020db08909c9a",
            ),
        ),
    ),
    Weights(
        name="squeezenet",
        title="SqueezeNet 1.1, ImageNet: torchvision's",
        file="squeezenet1_1-b8a52dc0.pth",
        url=_TORCHVISION + "squeezenet1_1-b8a52dc0.pth",
        size=4_958_839,
        sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        licence="BSD-3-Clause",
        used_by=("lpips",),
        # Only the digits in its name are known.
        others=(Edition("squeezenet1_1-f364aa15.pth", "f364aa15"),),
    ),
    Weights(
        name="lpips-alex",
        title="LPIPS v0.1: linear layers on AlexNet",
        file="alex.pth",
        url=_LPIPS + "alex.pth",
        size=6_009,
        sha256="df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
        licence="BSD-2-Clause",
        used_by=("lpips",),
    ),
    Weights(
        name="lpips-vgg",
        title="LPIPS v0.1: linear layers on VGG-16",
        file="vgg.pth",
        url=_LPIPS + "vgg.pth",
        size=7_289,
        sha256="a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
        licence="BSD-2-Clause",
        used_by=("lpips",),
    ),
    Weights(
        name="lpips-squeeze",
        title="LPIPS v0.1: linear layers on SqueezeNet",
        file="squeeze.pth",
        url=_LPIPS + "squeeze.pth",
        size=10_811,
        sha256="4a5350f23600cb79923ce65bb07cbf57dca461329894153e05a1346bd531cf76",
        licence="BSD-2-Clause",
        used_by=("lpips",),
    ),
)


def names() -> list[str]:
    """The names, in the catalogue's order."""
    return [weights.name for weights in CATALOGUE]


def get(name: str) -> Weights:
    """The entry of that name. Raises UsageError if there is none."""
    for weights in CATALOGUE:
        if weights.name == name:
            return weights
    raise UsageError(f"There are no weights called {name!r}.", f"There are: {', '.join(names())}.")


def recognise(sha256: str) -> Weights | None:
    """The entry that has a file of this (full) hash."""
    return next((weights for weights in CATALOGUE if weights.matches(sha256)), None)
