"""How well a network translates: what it makes of the pictures of pairs, compared with the truth beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gantool.data.faithful import Samples
from gantool.data.image import to_tensor
from gantool.data.palette import Palette, nearest_ids
from gantool.engine.devices import enough_memory
from gantool.errors import DataError
from gantool.metrics import psnr_ssim
from gantool.metrics.segmentation import Agreement, Counts, confusion
from gantool.nn.inference import exact
from gantool.tasks.evaluate.held_pairs import AUTO, Held, HeldPairs, colours
from gantool.tasks.evaluate.images import lpips_if_there, not_measured
from gantool.tasks.evaluate.operands import Count, Say, quiet, silent
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Evaluation, Findings
from gantool.tasks.opening import device_of, find_able, name_of, names_file
from gantool.tasks.picture_levels import to_levels, to_unit
from gantool.tasks.runs import Run
from gantool.tasks.translator import Habits, fingerprint, habits_of, open_translator
from gantool.weights.store import MissingWeights

if TYPE_CHECKING:
    from gantool.family import TestMode, Translates, Translation
    from gantool.metrics.lpips import Lpips
    from gantool.tasks.evaluate.sets import Gathered

TRUTH, RESULT = "truth", "result"
MEAN, INPUT = "mean picture", "input"  # what takes the place of the result, for comparison
_FIGURES = ("l1", "psnr", "ssim")


@dataclass
class Prepared:
    """Pairs and what they are measured with, for several measurements.

    Attributes:
        pairs: those, looked at.
        habits: what training did to pictures.
        palette: the colours of classes, where truths are maps of labels.
        lpips: its network; None where its weights are not there.
        said: what the protocol and the warnings say of all that.
        baselines: figures of the mean picture and of the input, by the number of the pair.
    """

    pairs: HeldPairs
    habits: Habits
    palette: Palette | None
    lpips: Lpips | None
    said: Findings
    baselines: dict[int, dict[str, float]] = field(default_factory=dict)


def prepare(
    data: str | Path,
    model: Translates,
    habits: Habits,
    *,
    target: str | Path = "",
    direction: Literal["AtoB", "BtoA"] | None = None,
    part: str | None = None,
    parts: Sequence[str] = ("test", "val", "train"),
    palette: str = "",
    options: EvalOptions | None = None,
    count: Count = silent,
) -> Prepared:
    """Find the pairs, look at all of them and load LPIPS, as `evaluate_translation` does. Raises DataError as there."""
    options, said = options or EvalOptions(), Findings()
    pairs = HeldPairs(
        data, model.translation, habits, target=target, direction=direction, part=part, parts=parts,
        skip_bad=options.skip_bad,
    )  # fmt: skip
    try:
        pairs.look(count)
    except DataError as error:
        raise (
            error if pairs.skip_bad else DataError(error.what, f"{error.hint} Or leave it out: --skip-bad.")
        ) from error
    found: Palette | None = None
    try:
        found = pairs.palette(palette, habits)
    except DataError as error:
        if palette:
            raise
        said.protocol["classes"] = f"not measured: {error.what[0].lower()}{error.what[1:]} {error.hint}"
    if pairs.side_by_side and not habits.side_by_side:
        said.warnings.append(
            f"The run was trained on two files a pair, and each picture of {pairs.label} is taken for both, side by "
            "side. If it is not, name a folder that holds A and B, or a CSV of the pairs."
        )
    if pairs.skipped:
        name, why = pairs.skipped[0]
        said.warnings.append(
            f"{len(pairs.skipped)} of {len(pairs) + len(pairs.skipped)} pairs were left out: {name}, {why}."
        )
    return Prepared(pairs, habits, found, lpips_if_there(options, said), said)


def evaluate_translation(
    model: str | Path | Run | Translates,
    data: str | Path | Prepared,
    *,
    target: str | Path = "",
    direction: Literal["AtoB", "BtoA"] | None = None,
    part: str | None = None,
    palette: str = "",
    mode: TestMode = "paper",
    fid: bool = True,
    options: EvalOptions | None = None,
    say: Say = quiet,
    count: Count = silent,
) -> Evaluation:
    """Translate the inputs of pairs at the size trained on, and compare with their truths, which are prepared alike.

    `l1` is the mean of |difference| of samples from 0 to 1; PSNR and SSIM are of R, G and B (or grey), not rounded,
    over all pixels of results rounded to the bits of the model. Means over pictures. Beside each the figure of the mean
    of all other measured truths in place of the result; and of the input as it is, where it has as many channels.
    LPIPS, where its weights are, and FID of the results against the truths, where Inception is.

    Where truths are maps of labels each pixel of result and truth is taken for the class of the nearest colour, and
    pixel accuracy, class accuracy and mean IoU are of all pixels of all pictures together (Long et al. 2015, Sec. 5).

    Args:
        model: a run, a file of weights, or what translates.
        data, target: see `gantool.data.pairs.open_pairs`. Or what `prepare` gave: to measure a model again and again,
            as it trains. Then the protocol does not say the hash of its weights, which takes time.
        direction: what becomes what; None: as the run was trained.
        part: sub-folder; None takes test where there is one, else val, else train, else all.
        palette: of labels; see `HeldPairs.palette`.
        mode: how the network is used; its noise has the seed of the options, or 0.
        fid: whether it may be measured.
        options: heeded are seed, skip_bad, device, out, net, weights and heads.
        say, count: take sentences and progress, for people.

    Raises:
        UsageError: a run of a family that cannot translate.
        DataError: what is wrong with pictures, palette or weights.
        RunError: there is no such run; or the network gives NaN.
    """
    from gantool.family import Translates

    options = options or EvalOptions()
    network = model if isinstance(model, Translates) else open_translator(model, options.out, options.device, say)
    ready = data if isinstance(data, Prepared) else prepare(
        data, network, habits_of(model, options.out), target=target, direction=direction, part=part, palette=palette,
        options=options, count=count,
    )  # fmt: skip
    found = Findings(dict(ready.said.protocol), list(ready.said.warnings))
    sets = _fid_of(network, fid, options, found)
    with enough_memory("Free some memory, or measure on another device."):
        matrix = _measure(ready, network, mode, options, sets, found, count)
    classes = _classes(ready.palette, matrix, found) if ready.palette is not None and matrix is not None else ()
    if sets is not None:
        _distances(sets, network, found)
    found.protocol = _protocol(ready, network, mode, options.seed or 0) | found.protocol
    found.protocol["model"] = {"name": name_of(model, options.out)}
    if ready is not data:
        found.protocol["model"]["fingerprint"] = fingerprint(network)
    found.warnings += _training(ready.pairs, model, options.out)
    warnings = tuple(dict.fromkeys(found.warnings))
    return Evaluation("translate", found.values, "lower", found.protocol, tuple(found.pairs), warnings, classes)


def _measure(
    ready: Prepared,
    network: Translates,
    mode: TestMode,
    options: EvalOptions,
    sets: Gathered | None,
    found: Findings,
    count: Count,
) -> Counts | None:
    """A row for each pair, and the means; the confusion matrix, where there are classes."""
    matrix: Counts | None = None
    baselines = []
    for number, held in enumerate(ready.pairs):
        result = _translated(network, held, options.seed or 0, mode)
        if result.shape != held.truth.shape:
            shapes = (f"{one.shape[1]}x{one.shape[0]} of {one.shape[2]} channels" for one in (result, held.truth))
            raise DataError(
                f"{held.name}: the model gives {' where the truth has '.join(shapes)}.", "Give other pairs."
            )
        row = _figures(held.truth, result)
        if ready.lpips is not None and min(held.truth.shape[:2]) >= ready.lpips.backbone.least:
            with exact():
                row["lpips"] = ready.lpips.distance(*(to_tensor(colours(one)) for one in (held.truth, result))).item()
        if ready.palette is not None:
            true, taken = (nearest_ids(colours(one), ready.palette.colours) for one in (held.truth, result))
            own = confusion(true, taken, len(ready.palette))
            row["pixel accuracy"] = Agreement(own).pixel_accuracy
            matrix = own if matrix is None else matrix + own
        if sets is not None:
            for name, one in ((TRUTH, held.truth), (RESULT, result), (INPUT, held.given)):
                if name != INPUT or _alike(network.translation):
                    sets.add(name, colours(one))
        if number not in ready.baselines:
            ready.baselines[number] = _baselines(ready.pairs, held)
        baselines.append(ready.baselines[number])
        known = {name: value for name, value in baselines[-1].items() if name.startswith("l1 ")}
        found.pairs.append({"picture": held.name, **row, **known})
        count(ready.pairs.label, number + 1, len(ready.pairs))
    _means(found.values, [{k: v for k, v in row.items() if k not in ("picture", *baselines[0])} for row in found.pairs])
    _means(found.values, baselines)
    window = psnr_ssim.WINDOW
    if "ssim" in found.values:
        found.protocol["ssim"] = f"{window}x{window} Gaussian, sigma {psnr_ssim.SIGMA}, valid region"
    else:
        found.protocol["ssim"] = f"not measured: pictures are smaller than its window of {window} pixels"
    if any(math.isinf(row["psnr"]) for row in found.pairs):
        found.warnings.append("A result equals its truth: the PSNR is infinite.")
    return matrix


def _translated(network: Translates, held: Held, seed: int, mode: TestMode) -> Samples:
    """What the network makes of a given picture, of its bits, (H, W, C')."""
    given = to_unit(held.given).to(device_of(network, "cpu")) * 2 - 1
    with exact():
        made = network.translate(given, [seed], mode)
    return to_levels(made, held.truth.dtype)


def _figures(truth: Samples, result: Any) -> dict[str, float]:
    """l1, psnr and ssim of a picture that stands for the truth."""
    a, b = _of_255(truth, truth.dtype), _of_255(result, truth.dtype)
    row = {"l1": psnr_ssim.l1(a, b), "psnr": psnr_ssim.psnr(a, b)}
    return row | ({"ssim": psnr_ssim.ssim(a, b)} if min(a.shape[:2]) >= psnr_ssim.WINDOW else {})


def _of_255(pixels: Any, kind: Any) -> psnr_ssim.Levels:
    """Samples of 8 or 16 bits, or means of such, as levels of 0 to 255: (H, W, 3) or (H, W)."""
    levels: psnr_ssim.Levels = pixels if kind == np.uint8 else pixels / 257
    return levels[..., 0] if levels.shape[2] == 1 else levels


def _baselines(pairs: HeldPairs, held: Held) -> dict[str, float]:
    """Figures of what takes the place of the result."""
    others: dict[str, Any] = {}
    if pairs.mean is not None and len(pairs) > 1:
        others[MEAN] = (len(pairs) * pairs.mean - held.truth) / (len(pairs) - 1)  # of the others: it has not seen this
    if held.given.shape == held.truth.shape:
        others[INPUT] = held.given
    figures = {name: _figures(held.truth, other) for name, other in others.items()}
    return {f"{key} {name}": row[key] for key in _FIGURES for name, row in figures.items() if key in row}


def _means(values: dict[str, float], rows: list[dict[str, float]]) -> None:
    """Of the figures that all rows have."""
    for key in rows[0]:
        if all(key in row for row in rows):
            values[key] = sum(row[key] for row in rows) / len(rows)


def _classes(palette: Palette, matrix: Counts, found: Findings) -> tuple[dict[str, Any], ...]:
    """The figures of classes into `found`, and a row for each class that occurs, the most frequent first."""
    agreement = Agreement(matrix)
    found.values |= {
        "pixel accuracy": agreement.pixel_accuracy,
        "class accuracy": agreement.class_accuracy,
        "mean iou": agreement.mean_iou,
        "pixel accuracy most frequent": agreement.most_frequent,
    }
    total = matrix.sum()
    rows = []
    for k in np.argsort(-agreement.truth, kind="stable").tolist():
        if agreement.truth[k] or agreement.result[k]:
            colour = "#{:02x}{:02x}{:02x}".format(*palette.colours[k])
            rows.append(
                {
                    "class": palette.names[k] if palette.names else str(k), "colour": colour,
                    "truth": float(agreement.truth[k] / total), "result": float(agreement.result[k] / total),
                    "accuracy": float(agreement.accuracies[k]), "iou": float(agreement.ious[k]),
                }
            )  # fmt: skip
    found.protocol["classes"] = {
        "palette": "found in the truths" if palette.name == AUTO else palette.name,
        "colours": len(palette), "in the truths": int((agreement.truth > 0).sum()),
    }  # fmt: skip
    found.protocol["accuracy, iou"] = (
        "of the classes of nearest colours, all pixels together; means over classes in the truths (accuracy), or in "
        "these and results (IoU)"
    )
    return tuple(rows)


def _fid_of(network: Translates, wanted: bool, options: EvalOptions, found: Findings) -> Gathered | None:
    """What gathers features, where FID has sense and Inception is there."""
    if network.translation.gives == "labels" or not wanted:
        found.protocol["fid"] = "not measured: " + ("of maps of labels it says little" if wanted else "not wanted")
        return None
    from gantool.tasks.evaluate.sets import Gathered  # brings SciPy and torchvision, which take seconds

    try:
        return Gathered(EvalOptions(device=options.device))
    except MissingWeights as error:
        found.protocol["fid"] = not_measured(error)
        return None


def _distances(sets: Gathered, network: Translates, found: Findings) -> None:
    """FID of results, and of inputs in their place, where there are pictures enough."""
    if len(found.pairs) < 2:
        found.protocol["fid"] = "not measured: it takes two pictures or more"
        return
    found.values["fid"] = sets.distance(TRUTH, RESULT)
    found.protocol["fid"] = sets.found.protocol
    found.warnings += sets.found.warnings
    if _alike(network.translation):
        found.values[f"fid {INPUT}"] = sets.distance(TRUTH, INPUT)


def _alike(translation: Translation) -> bool:
    """Whether inputs have as many channels as results."""
    return (translation.takes == "grey") == (translation.gives == "grey")


def _protocol(ready: Prepared, network: Translates, mode: TestMode, seed: int) -> dict[str, Any]:
    pairs, how = ready.pairs, network.translation
    a, b = ("A", "B") if pairs.direction == "AtoB" else ("B", "A")
    fits = {
        "squash": f"squashed to {how.size[1]}x{how.size[0]}, as in training",
        "width": f"brought to a width of {how.size[1]}, as in training", "none": "as they are",
    }  # fmt: skip
    modes = {
        "paper": f"paper: norms by each picture's own statistics, dropout at work (seed {seed})",
        "eval": "eval: norms by what was gathered in training, no dropout",
    }
    mean = "not measured: there is one truth" if len(pairs) < 2 else "the mean of the other truths"
    return {
        "data": pairs.label, "part": pairs.part or "all", **({"found": pairs.remarks} if pairs.remarks else {}),
        "pictures": len(pairs), "direction": f"{a} becomes {b}", "size": fits[how.fit], "test mode": modes[mode],
        "means": "over pictures", "l1": "mean of |difference| of samples from 0 to 1",
        "psnr": f"R, G, B or grey, peak 255, results of {how.bits} bits",
        MEAN: "not measured: the truths have several sizes" if pairs.mean is None else mean,
        **({INPUT: "left as it is"} if _alike(how) else {}),
    }  # fmt: skip


def _training(pairs: HeldPairs, model: object, out: Path) -> list[str]:
    """What is odd, compared with how a run was trained."""
    found = []
    trained: Any = None
    if isinstance(model, Run) or (isinstance(model, str | Path) and not names_file(model)):
        run = find_able(model, "translate", out)
        trained = (run.info.get("data") or {}).get("path")
        if (direction := habits_of(run, out).direction) != pairs.direction:
            found.append(f"The run was trained {direction} and is measured {pairs.direction}.")
    same = trained is not None and pairs.part in ("", "train") and Path(str(trained)) == Path(pairs.label).resolve()
    if same or pairs.part == "train":
        which = "the pairs that it was trained on" if same else "pairs of the part train"
        found.append(f"Measured on {which}: on others a model is worse. Name another folder, or --part.")
    return found
