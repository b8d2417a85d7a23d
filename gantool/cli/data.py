"""`gantool data`: what a set of pictures is worth, and packing it into one file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gantool.cli.command import SETUP, add
from gantool.cli.counting import counting
from gantool.cli.talk import Result, Talk, table
from gantool.cli.values import size as in_bytes

if TYPE_CHECKING:
    from gantool.tasks.data_check import DataCheck, SideCheck, SizeCount

_SHOWN = 5  # damaged pictures and groups of copies that are shown
_CLASSES = 30  # that are shown one by one

DATA = Annotated[
    str, typer.Argument(metavar="DATA", help="folder, zip, IDX or CSV digits, .npy/.npz, builtin:digits, hf:NAME")
]
SIZE = Annotated[int, typer.Option(help="side of the pictures trained on, pixels", min=1, max=1024)]
SIDES = {False: 64, True: 256}  # trained on, of pictures and of pairs
BACKGROUND = Annotated[str, typer.Option(help="colour behind transparent pixels, name or #rrggbb")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    group = typer.Typer(no_args_is_help=True)
    group.callback()(_data)
    add(group, check)
    add(group, pack)
    add(group, pair)
    app.add_typer(group, name="data", rich_help_panel=SETUP)


def _data() -> None:
    """Sets of pictures to train on: check them, pack them into one file, put pairs side by side."""


def check(
    talk: Talk,
    data: DATA,
    size: Annotated[
        int | None,
        typer.Option(help="side of what is trained on, pixels (64; of pairs 256)", min=1, max=1024),
    ] = None,
    background: BACKGROUND = "white",
    pairs: Annotated[bool, typer.Option("--pairs", help="DATA holds pairs, as pix2pix takes them")] = False,
    target: Annotated[str, typer.Option(help="folder of B, named alike; DATA holds A")] = "",
    part: Annotated[str, typer.Option(help="sub-folder of pairs: train, val, test")] = "",
    direction: Annotated[Literal["AtoB", "BtoA"], typer.Option(help="what of a pair becomes what")] = "AtoB",
) -> Result:
    """Say what is in a set: sizes, colours, classes, copies, damage, and what training would do with it."""
    from gantool.tasks.data_check import check_data
    from gantool.tasks.data_check_pairs import check_pairs

    pairs = pairs or bool(target)
    size = size or SIDES[pairs]
    with counting(talk) as count:
        common: dict[str, Any] = {"size": size, "background": background, "count": count}
        if pairs:
            found = check_pairs(data, target=target, part=part, direction=direction, **common)
        else:
            found = check_data(data, **common)
    for warning in found.warnings:
        talk.say(f"Warning: {warning}")
    return Result(found.as_dict(), list(_shown(found, size)), 0 if found.usable else 1)


def pack(
    talk: Talk,
    data: DATA,
    out: Annotated[Path, typer.Argument(metavar="OUT.zip", help="the file to write")],
    size: SIZE = 64,
    crop: Annotated[
        Literal["centre", "squash"], typer.Option(help="to a square: its middle, or by squeezing")
    ] = "centre",
    no_labels: Annotated[bool, typer.Option("--no-labels", help="leave the labels out")] = False,
    limit: Annotated[int | None, typer.Option(help="that many pictures at most, spread over the set", min=1)] = None,
    background: BACKGROUND = "white",
) -> Result:
    """Write a set as a zip of small squares and dataset.json, which StyleGAN's tools read as well."""
    from gantool.tasks.data_pack import pack_data

    with counting(talk) as count:
        found = pack_data(
            data, out, size=size, crop=crop, labels=not no_labels, limit=limit, background=background, count=count
        )
    for note in found.notes:
        talk.say(f"Note: {note}.")
    for name, why in found.left_out[:_SHOWN]:
        talk.say(f"Left out: {name} is {why}.")
    if len(found.left_out) > _SHOWN:
        talk.say(f"Left out: {len(found.left_out):,} pictures in all.")
    if found.enlarged:
        talk.say(f"{found.enlarged:,} pictures were smaller than {size} px and are enlarged.")
    classes = f", {found.classes} classes" if found.classes else ""
    talk.say(f"{found.pictures:,} pictures of {size} × {size} px{classes}, {in_bytes(found.bytes)}.")
    return Result(found.as_dict(), [found.file])


def pair(
    talk: Talk,
    a: Annotated[str, typer.Argument(metavar="A", help="folder or zip of A; or of both, or a CSV of two columns")],
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="folder or zip of B, named alike")] = None,
    *,
    to: Annotated[Path, typer.Option("-o", "--to", help="folder for the pairs")],
    size: Annotated[str | None, typer.Option(metavar="WxH", help="size of A and of B, pixels")] = None,
    fit: Annotated[bool, typer.Option("--fit", help="bring B to the size of A")] = False,
    split: Annotated[
        str | None, typer.Option(metavar="80/10/10", help="deal pairs into train, val and test by these shares")
    ] = None,
    seed: Annotated[int, typer.Option(help="of --split", min=0)] = 0,
    labels: Annotated[
        Literal["auto", "none", "A", "B", "both"], typer.Option(help="which are labels, resized without mixing")
    ] = "auto",
    palette: Annotated[str, typer.Option(help="colours of label ids: cityscapes, facades, generic or a file")] = "",
    format: Annotated[Literal["png", "jpg", "webp", "tif"], typer.Option(help="of the files")] = "png",
    quality: Annotated[int | None, typer.Option(help="of JPEG and WebP", min=1, max=100)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace files that differ")] = False,
    background: BACKGROUND = "white",
) -> Result:
    """Write pairs side by side, A|B, as pix2pix and its PyTorch code take them; what is there already is left."""
    from gantool.tasks.data_pair import pair_data

    with counting(talk) as count:
        found = pair_data(
            a, b, to, size=size, fit=fit, split=split, seed=seed, labels=labels, palette=palette, form=format,
            quality=quality, background=background, overwrite=overwrite, count=count,
        )  # fmt: skip
    for note in found.notes:
        talk.say(f"Note: {note}.")
    for name, why in found.left_out[:_SHOWN]:
        talk.say(f"Left out: {name} is {why}.")
    if len(found.left_out) > _SHOWN:
        talk.say(f"Left out: {len(found.left_out):,} pairs in all.")
    parts = f" ({', '.join(f'{number:,} in {part}' for part, number in found.parts.items())})" if found.parts else ""
    there = f", {found.skipped:,} of them there already" if found.skipped else ""
    talk.say(f"{found.pairs:,} pair{'' if found.pairs == 1 else 's'}{parts}{there}.")
    return Result(found.as_dict(), [found.folder])


def _shown(found: DataCheck, size: int) -> Iterator[Any]:
    yield _row("data", f"{found.data} ({found.kind})")
    noun = "pictures" if found.pairs is None else "pairs"
    yield _row(noun, f"{found.pictures:,}" + (f", {found.usable:,} of them usable" if found.bad else ""))
    yield from (_row("", remark) for remark in found.remarks)
    yield from (_row("damaged", f"{name}: {why}") for name, why in found.bad[:_SHOWN])
    yield from _more(len(found.bad))
    if not found.usable:
        return
    if found.pairs is None:
        yield from _sizes(found)
        yield _row("colour", f"{found.usable - found.grey:,} in colour, {found.grey:,} grey")
    else:
        yield from _side("A", found.pairs.a)
        yield from _side("B", found.pairs.b)
    for note, number in found.changes.items():
        if not note.startswith("grey") or (found.grey < found.usable and found.pairs is None):
            yield _row("decoded", f"{note} ({number:,})")
    for group in found.duplicates[:_SHOWN]:
        names = ", ".join(group.names) + (", ..." if group.count > len(group.names) else "")
        yield _row("equal", f"{group.count:,} pictures: {names}")
    yield from _more(len(found.duplicates))
    if found.pairs is None:
        yield _row("labels", f"{len(found.classes):,} classes" if found.classes else "none")
    if 0 < len(found.classes) <= _CLASSES:
        yield ""
        yield table(["label", "class", "pictures"], [[one.label, one.name, f"{one.count:,}"] for one in found.classes])
    elif found.classes:
        ordered = sorted(found.classes, key=lambda one: one.count)
        for word, one in (("fewest", ordered[0]), ("most", ordered[-1])):
            yield _row("", f"{word}: {one.count:,} of {one.name}")
    yield ""
    yield f"Training with --size {size}:"
    yield from (f"  {sentence}" for sentence in found.training)


def _sizes(found: DataCheck) -> Iterator[str]:
    if found.distinct_sizes == 1:
        yield _row("size", f"all {_sides(found.sizes[0])}")
        return
    yield _row("sizes", f"{found.distinct_sizes:,}, from {_sides(found.smallest)} to {_sides(found.largest)}")
    yield from (_row("", f"{_sides(one)}: {one.count:,}") for one in found.sizes)


def _side(name: str, side: SideCheck) -> Iterator[str]:
    sizes = f"all {_sides(side.sizes[0])}" if side.distinct_sizes == 1 else f"{side.distinct_sizes:,} sizes"
    yield _row(name, f"{side.says}, {sizes} ({side.where})")
    if side.distinct_sizes > 1:
        yield from (_row("", f"{_sides(one)}: {one.count:,}") for one in side.sizes)


def _sides(one: SizeCount | None) -> str:
    return "" if one is None else f"{one.width} × {one.height} px"


def _more(number: int) -> Iterator[str]:
    if number > _SHOWN:
        yield _row("", f"and {number - _SHOWN:,} more (--json has them)")


def _row(label: str, text: str) -> str:
    return f"{label:<10}{text}"
