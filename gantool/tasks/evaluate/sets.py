"""Metrics of sets, computed from what a network says of each picture: FID, KID, Inception Score, PRDC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gantool.data.image import Pixels
from gantool.engine.devices import pick_device
from gantool.errors import DataError, UsageError
from gantool.metrics.batches import Features, collect
from gantool.metrics.classifier import Classifier
from gantool.metrics.frechet import Moments, Statistics, frechet_distance
from gantool.metrics.inception import LAYERS, PROTOCOLS, InceptionFeatures
from gantool.metrics.inception_score import inception_score as score_of
from gantool.metrics.kernel import kernel_distance
from gantool.metrics.prdc import prdc as prdc_of
from gantool.metrics.protocols import Protocol as Convention
from gantool.tasks.evaluate.images import counted, weights_said
from gantool.tasks.evaluate.operands import Count, Operand
from gantool.tasks.evaluate.options import EvalOptions
from gantool.tasks.evaluate.result import Findings
from gantool.weights.store import Found, find

INCEPTION = "inception-2015"
FEW = 2048  # pictures below which Inception's covariance is singular
_MADE_WITH = ("network", "layer", "protocol", "resize")  # what two sides of a FID must have in common
_DIGITS = 12  # of a sha256, in a sentence


class _Network(Protocol):
    def __call__(self, pictures: Iterable[Pixels]) -> Iterator[Features]: ...


@dataclass(frozen=True)
class _Setup:
    """The network, and the conventions of the protocol that was asked for."""

    network: _Network
    convention: Convention


def check_network(options: EvalOptions) -> Found:
    """The file of the network. Raises DataError where it is not there, UsageError where options do not fit."""
    if options.protocol not in PROTOCOLS:
        raise UsageError(f"There is no protocol {options.protocol!r}.", f"There are: {', '.join(PROTOCOLS)}.")
    if options.features is None and options.activation is not None:
        raise UsageError("--activation belongs to --features.", "Name the classifier's file with --features.")
    if options.features is not None:
        if options.weights is not None or options.layer is not None:
            raise UsageError("--features brings its own network: --weights and --layer are Inception's.", "Drop one.")
        return find(options.features)
    if options.layer is not None and options.layer not in LAYERS:
        raise UsageError(f"Inception has no layer {options.layer}.", f"Take one of {', '.join(map(str, LAYERS))}.")
    return find(options.weights, wanted=INCEPTION) if options.weights else find(INCEPTION)


def _setup(options: EvalOptions, found: Findings) -> _Setup:
    file, convention = check_network(options), PROTOCOLS[options.protocol]
    device = pick_device(options.device)
    network: _Network
    if options.features is not None:
        network = Classifier(file.path, options.activation, device, batch=options.batch)
        found.protocol["network"] = {"name": file.path.name, "sha256": file.sha256}
        found.warnings.append(
            f"The features are those of {file.path.name}, not Inception's: the figure compares only with others of it."
        )
        found.protocol["layer"] = network.description
    else:
        layer = options.layer or 2048
        network = InceptionFeatures(file.path, convention, device, layer=layer, batch=options.batch)
        weights_said(found, "network", file)
        found.protocol |= {"layer": layer, "protocol": convention.name, "resize": f"{convention.resize} to 299"}
    return _Setup(network, convention)


def _features(side: Operand, setup: _Setup, count: Count) -> Features:
    return collect(setup.network(item.pixels for item in counted(side, count)))


def _moments(side: Operand, setup: _Setup, count: Count) -> Statistics:
    moments: Moments | None = None
    for batch in setup.network(item.pixels for item in counted(side, count)):
        moments = moments or Moments(batch.features.shape[1])
        moments.add(batch.features)
    if moments is None:
        raise DataError(f"{side.label} has no pictures.", "Give pictures.")
    return moments.statistics(setup.convention.ddof, name=side.label)


def statistics_of(side: Operand, options: EvalOptions, found: Findings, count: Count) -> Statistics:
    """Mean and covariance of a set, with what made them in `found.protocol`."""
    setup = _setup(options, found)
    found.protocol["ddof"] = setup.convention.ddof
    return _moments(side, setup, count)


def fid(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Fréchet distance of the two sets. Where both are statistics, no network is needed."""
    assert b is not None
    setup = None
    if a.statistics and b.statistics:
        made = a.statistics.protocol or b.statistics.protocol or {}
        found.protocol |= {key: made[key] for key in (*_MADE_WITH, "ddof") if key in made}
    else:
        setup = _setup(options, found)
        found.protocol["ddof"] = setup.convention.ddof
    both = []
    for side in (a, b):
        statistics = side.statistics
        if statistics is not None:
            found.warnings += list(_unlike(statistics.protocol, found.protocol, side.label))
        else:
            assert setup is not None
            statistics = _moments(side, setup, count)
        both.append(statistics)
        found.warnings += _few(statistics, side.label)
    if len(both[0].mu) != len(both[1].mu):
        raise DataError(
            f"{a.label} has features of {len(both[0].mu)} numbers, {b.label} of {len(both[1].mu)}.",
            "Use the network, or the --layer, that the statistics were made with.",
        )
    found.values["fid"] = frechet_distance(*both)


def _few(statistics: Statistics, label: str) -> list[str]:
    """The warning that there are few pictures, if so."""
    if statistics.n is None or statistics.n >= max(FEW, len(statistics.mu)):
        return []
    return [
        f"{statistics.n:,} pictures of {label} are few for FID, which falls with their number: "
        f"compare with figures of as many only, or use kid."
    ]


class Gathered:
    """FID of pictures that come one by one, for whoever makes them: no set is held in memory.

    Args:
        options: see `check_network`.

    Attributes:
        found: what the protocol says of the network, and warnings.

    Raises:
        DataError: the network is not there, or not usable.
    """

    AT_ONCE = 8  # pictures of a set that wait for the network

    def __init__(self, options: EvalOptions) -> None:
        self.found = Findings()
        self._setup = _setup(options, self.found)
        self.found.protocol["ddof"] = self._setup.convention.ddof
        self._waiting: dict[str, list[Pixels]] = {}
        self._moments: dict[str, Moments] = {}

    def add(self, name: str, pixels: Pixels) -> None:
        """One more picture, (H, W, 3), of the set of that name."""
        waiting = self._waiting.setdefault(name, [])
        waiting.append(pixels)
        if len(waiting) == self.AT_ONCE:
            self._flush(name)

    def distance(self, a: str, b: str) -> float:
        """Between two sets. Raises DataError where one has less than two pictures."""
        both = []
        for name in (a, b):
            self._flush(name)
            both.append(self._moments[name].statistics(self._setup.convention.ddof, name=name))
        self.found.warnings += _few(both[1], f"the {b}s")
        return frechet_distance(*both)

    def _flush(self, name: str) -> None:
        waiting = self._waiting.pop(name, [])
        for batch in self._setup.network(waiting) if waiting else ():
            moments = self._moments.setdefault(name, Moments(batch.features.shape[1]))
            moments.add(batch.features)


def _unlike(made: Mapping[str, Any] | None, now: Mapping[str, Any], label: str) -> Iterator[str]:
    """Warnings where saved statistics were not made as the other side is."""
    if made is None:
        yield f"{label} does not say how it was made: network, layer and resize must be those of the other side."
        return
    for key in _MADE_WITH:
        if made.get(key) != now.get(key):
            theirs, ours = _in_words(made.get(key)), _in_words(now.get(key))
            yield f"{label} was made with another {key} ({theirs}) than the other side ({ours})."
    if made.get("ddof") != now.get("ddof"):
        yield f"The covariance of {label} was divided by N - {made.get('ddof')}, the other by N - {now.get('ddof')}."


def _in_words(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value.get('name')}, sha256 {str(value.get('sha256'))[:_DIGITS]}..."
    return "not said" if value is None else str(value)


def kid(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean and deviation over subsets."""
    assert b is not None
    setup = _setup(options, found)
    seed = setup.convention.kid_seed if options.seed is None else options.seed
    real, fake = (_features(side, setup, count).features for side in (a, b))
    size = min(options.subset_size, len(real), len(fake))
    if size < 2:
        raise DataError(f"KID takes two pictures or more of each set, not {size}.", "Add pictures.")
    if size == len(real) == len(fake):
        found.warnings.append(
            "Every subset is all the pictures: kid_std says nothing. Give more pictures, or a smaller --subset-size."
        )
    if size < options.subset_size:
        found.warnings.append(
            f"Subsets of {size:,} pictures in place of {options.subset_size:,}, for there are no more: the mean is not "
            "biased by that, but its spread is larger."
        )
    # torch-fidelity gives the fakes' place to its first set; the order decides which random numbers go where.
    distance = kernel_distance(real, fake, subsets=options.subsets, subset_size=size, seed=seed)
    found.values |= {"kid": distance.mean, "kid_std": distance.std}
    found.protocol |= {"kernel": "(x.y / d + 1)^3, unbiased", "subsets": options.subsets, "subset_size": size}
    found.protocol["seed"] = seed


def inception_score(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Mean and deviation over splits."""
    setup = _setup(options, found)
    splits = options.splits or setup.convention.is_splits
    shuffle = setup.convention.is_shuffle_seed if options.seed is None else options.seed
    logits = _features(a, setup, count).logits
    if logits is None:
        raise UsageError("This network names no classes, which the Inception Score needs.", "Take another network.")
    score = score_of(logits, splits=splits, shuffle_seed=shuffle)
    found.values |= {"is": score.mean, "is_std": score.std}
    found.protocol |= {"splits": splits, "seed": shuffle if shuffle is not None else "none: in order"}
    if len(logits) < 50_000:
        found.warnings.append(
            f"{len(logits):,} pictures are few for the Inception Score, which rises with their number: published "
            "figures are of 50,000."
        )


def prdc(a: Operand, b: Operand | None, options: EvalOptions, found: Findings, count: Count) -> None:
    """Precision, recall, density, coverage."""
    assert b is not None
    setup = _setup(options, found)
    k, strict = options.neighbours or setup.convention.prdc_k, setup.convention.prdc_strict
    real, fake = (_features(side, setup, count).features for side in (a, b))
    figures = prdc_of(real, fake, k=k, strict=strict)
    found.values |= {name: getattr(figures, name) for name in ("precision", "recall", "density", "coverage")}
    found.protocol |= {"k": k, "ball": "open (<)" if strict else "closed (<=)"}
    if len(real) != len(fake):
        found.warnings.append(
            f"{len(real):,} real and {len(fake):,} fake pictures: recall and coverage depend on both numbers."
        )
