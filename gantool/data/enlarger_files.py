"""Networks that enlarge pictures in files: those of other programs, recognised by their weights, and our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gantool.data.enlarger_layouts import LAYOUTS, SUPPORTED, Layout, Options, kind_of, options_of
from gantool.data.network_files import Unfit, bare, content_of, described, filled, listed, save_network
from gantool.data.state_dicts import checked
from gantool.errors import DataError
from gantool.nn.enlarger import Enlarger
from gantool.nn.msrresnet import MSRResNet
from gantool.nn.rrdb import RRDBNet
from gantool.nn.srresnet import SRResNet

NETWORKS: dict[str, type[Enlarger]] = {kind.__name__: kind for kind in (SRResNet, MSRResNet, RRDBNet)}


def read_enlarger(path: Path) -> Enlarger:
    """The network whose weights a file holds, in evaluation mode, float32 on the CPU.

    Recognised by names and shapes of the weights, whatever the file is called: see `enlarger_layouts.LAYOUTS`; and
    files of `save_enlarger`. Nothing in the file is executed.

    Raises:
        DataError: missing, unreadable or damaged; weights that are not finite; weights of another network, which
            the sentence describes; or only some of the weights of a known one.
    """
    content, description = content_of(path, SUPPORTED)
    if description:
        return described(path, content, description, NETWORKS, "enlarge pictures", _sane)
    weights = checked(path, bare(content))
    names = list(weights)
    layout = next((layout for layout in LAYOUTS if layout.fits(names)), None)
    if layout is None:
        raise _unknown(path, weights)
    return _of_layout(path, weights, layout)


def save_enlarger(network: Enlarger, path: Path, *, overwrite: bool = False) -> None:
    """Write a file that `read_enlarger` reads, whole or not at all.

    Raises:
        RunError: `path` exists and may not be overwritten, or cannot be written.
        ValueError: a weight is not finite, or the network was changed since it was built.
    """
    save_network(network, network.options, path, {}, overwrite=overwrite)


def _sane(options: Mapping[str, Any], tensors: int) -> bool:
    """See `described`."""
    return all(type(value) in (int, str, bool) for value in options.values()) and options["blocks"] <= tensors


def _of_layout(path: Path, weights: Mapping[str, Tensor], layout: Layout) -> Enlarger:
    """The network of a file of that layout."""
    try:
        theirs = {ours: name for name, ours in layout.ours(list(weights)).items()}
        ours = {name: weights[original] for name, original in theirs.items()}
        try:
            options: Options = {**options_of(layout.network, ours), **layout.fixed}
        except KeyError as error:
            raise Unfit(f"it lacks {error.args[0]} (as this program calls it)") from error
        except (IndexError, ZeroDivisionError, RuntimeError) as error:
            raise Unfit("the shapes of its weights do not fit together") from error
        return filled(lambda: layout.network(**options), ours, theirs)  # type: ignore[arg-type]
    except Unfit as error:
        raise DataError(f"{path} looks like {layout.title}, but {error}.", SUPPORTED) from error


def _unknown(path: Path, weights: Mapping[str, Tensor]) -> DataError:
    """Weights of another network, described."""
    if {"head.0.weight", "blocks.0.conv1.weight"} <= weights.keys():  # how it ends, for one, they do not tell
        return DataError(
            f"{path} holds an SRResNet of this program without its description.",
            "Give the run that trained it, or the file that `gantool export` makes of that.",
        )
    kind = kind_of(list(weights))
    what = f"seems to be {kind}, not a" if kind else "holds no known"
    return DataError(f"{path} {what} network that enlarges pictures: {listed(weights)}.", SUPPORTED)
