"""Whether the two players of a game are in balance, judged by the numbers that are logged; and what to try."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from gantool.data.set_options import PairOptions
from gantool.errors import ConfigError
from gantool.game.options import WITH_TARGETS, GameConfig
from gantool.nn.sides import PATCHES
from gantool.options import resolve

EARLY = 200  # steps: until then anything may happen
EARLY_SHARE = 0.1  # of the steps: until then samples are blurs, alike and easily told from pictures
WINDOW = 20  # entries of the log that are judged together
WINS, WON_NO_MORE = 0.98, 0.9  # share of reals and of fakes judged rightly
LOSES, LOST_NO_MORE = 0.55, 0.6  # the mean of the two shares; 0.5 is guessing
EXPLODES, EXPLODES_NO_MORE = 100, 30  # times the gradient norm of the beginning

NARROW = 16  # channels that it should have at least

PLAYERS = {"grad_d": ("discriminator", "lr_d"), "grad_g": ("generator", "lr_g")}


@dataclass(frozen=True)
class Finding:
    """Something that people should know. `kind` names it for machines, `text` is a few sentences."""

    kind: str
    text: str


class Alarms:
    """Raises each alarm once, and again only after all was well in between.

    Args:
        patience: how often in a row something must be bad.
    """

    def __init__(self, patience: int = 1) -> None:
        self.patience = patience
        self.raised: set[str] = set()
        self.bad: dict[str, int] = {}

    def judge(self, kind: str, *, bad: bool, well: bool) -> bool:
        """Whether to raise the alarm now. What is neither bad nor well changes nothing that is raised."""
        self.bad[kind] = self.bad.get(kind, 0) + 1 if bad else 0
        if well:
            self.raised.discard(kind)
        if self.bad[kind] < self.patience or kind in self.raised:
            return False
        self.raised.add(kind)
        return True


class Balance:
    """Follows what training logs, and finds a player that wins, loses or runs away.

    A judgement takes `WINDOW` entries from after step `EARLY`. Which numbers there are decides what is judged:
    shares judged rightly (`acc_real`, `acc_fake`) where the loss has a border between real and fake; else the
    critic's scores, whose difference cannot exceed the distance of two pictures as long as the critic is
    1-Lipschitz, as Wasserstein's duality wants it (Arjovsky et al. 2017, Sec. 2); and the norms of gradients.

    Args:
        config: of the game, or of a family of pairs, for advice that fits; any other gets general advice.
        farthest: the greatest distance between two pictures, see `gantool.game.model.Game`; None: unknown.
        place: of the game among the levels of a model, for advice; None where the model is one game.
        steps: of the stage. Of pairs, accuracy is not judged in the first tenth of them, where the pictures are blurs;
            and for longer after that, since a batch is one pair, of which few patches may be judged.
    """

    def __init__(
        self, config: object = None, farthest: float | None = None, place: int | None = None, steps: int = 0
    ) -> None:
        self.config = config if isinstance(config, GameConfig) else None
        self.pairs = config if isinstance(config, PairOptions) else None
        self.farthest, self.place = farthest, place
        self.judged_from = max(EARLY, EARLY_SHARE * steps) if self.pairs else EARLY
        self.alarms, self.shares = Alarms(), Alarms(2 * WINDOW if self.pairs else 1)
        self.recent: dict[str, deque[float]] = {}
        self.first: dict[str, list[float]] = {}  # gradient norms of the beginning

    def add(self, metrics: Mapping[str, float], step: int) -> list[Finding]:
        """Take in what was logged at a step; returns what is newly wrong."""
        if step <= EARLY:
            return []
        for name, value in metrics.items():
            self.recent.setdefault(name, deque(maxlen=WINDOW)).append(value)
            if name in PLAYERS and len(first := self.first.setdefault(name, [])) < WINDOW:
                first.append(value)
        found = [*(self._accuracy() if step > self.judged_from else []), *self._gradients()]
        return found if "acc_real" in metrics else [*found, *self._critic()]

    def _window(self, *names: str) -> list[deque[float]] | None:
        values = [self.recent.get(name, deque()) for name in names]
        return values if all(len(v) == WINDOW for v in values) else None

    def _accuracy(self) -> list[Finding]:
        window = self._window("acc_real", "acc_fake")
        if window is None:
            return []
        real, fake = fmean(window[0]), fmean(window[1])
        both, found = (real + fake) / 2, []
        if self.shares.judge("discriminator wins", bad=min(real, fake) > WINS, well=min(real, fake) < WON_NO_MORE):
            if self.pairs is None:
                text = (
                    f"The discriminator wins: it knows {real:.0%} of the reals and {fake:.0%} of the fakes, and a "
                    f"generator learns little from that. {advice_weaker(self.config, self.place)}"
                )
            else:
                text = (
                    f"The discriminator wins: it knows {real:.0%} of the true pairs and {fake:.0%} of the made ones. "
                )
                text += f"{won_pairs(self.pairs)} {advice_weaker_on_pairs(self.pairs)}"
            found.append(Finding("discriminator wins", text))
        if self.shares.judge("discriminator loses", bad=both < LOSES, well=both > LOST_NO_MORE):
            stronger = advice_stronger_on_pairs(self.pairs) if self.pairs else advice_stronger(self.config, self.place)
            made = "results" if self.pairs else "samples"
            text = (
                f"The discriminator guesses: it judges {both:.0%} rightly. Where {made} look real, that is the end "
                f"of the game; where they do not, it is too weak. {stronger}"
            )
            found.append(Finding("discriminator loses", text))
        return found

    def _gradients(self) -> list[Finding]:
        found = []
        for name, (player, _) in PLAYERS.items():
            window, first = self._window(name), self.first.get(name, [])
            if window is None:
                continue
            now, then = median(window[0]), median(first)
            kind = f"gradients of the {player} explode"
            if self.alarms.judge(kind, bad=now > EXPLODES * then > 0, well=now < EXPLODES_NO_MORE * then):
                text = (
                    f"The gradients of the {player} explode: their norm is {now:.3g}, and was {then:.3g} in the "
                    f"beginning. {advice_calmer(self.config, name, self.place)}"
                )
                found.append(Finding(kind, text))
        return found

    def _critic(self) -> list[Finding]:
        window = self._window("score_real", "score_fake")
        if window is None or self.farthest is None:
            return []
        gap = median(abs(real - fake) for real, fake in zip(*window, strict=True))
        if not self.alarms.judge("critic runs away", bad=gap > self.farthest, well=gap < self.farthest / 2):
            return []
        text = (
            f"The critic runs away: its scores of reals and fakes differ by {gap:.3g}, more than any two pictures do "
            f"({self.farthest:.3g}), so that it measures no distance any more. {advice_critic(self.config, self.place)}"
        )
        return [Finding("critic runs away", text)]


# --- what to try --------------------------------------------------------------------------------------------


def advice_weaker(config: GameConfig | None, place: int | None = None) -> str:
    """Against a discriminator that wins."""
    if config is None:
        return "Try a weaker discriminator, or one that learns more slowly."
    return _tries(
        config,
        place,
        (config.loss in WITH_TARGETS and not config.label_smoothing and config.soft_labels is None)
        and "--label-smoothing 0.1",
        not config.spectral_norm and "--spectral-norm",
        config.lr_d >= config.lr_g and f"--lr-d {config.lr_g / 2:g}",
        config.d_steps > 1 and "--d-steps 1",
        not config.diffaugment and "--diffaugment color,translation (for few pictures)",
        config.g_steps == 1 and "--g-steps 2",
    )


def advice_stronger(config: GameConfig | None, place: int | None = None) -> str:
    """Against a discriminator that guesses."""
    if config is None:
        return "Try a stronger discriminator, or one that learns faster."
    return _tries(
        config,
        place,
        config.flip_labels > 0 and "--flip-labels 0",
        config.dropout > 0 and "--dropout 0",
        config.g_steps > 1 and "--g-steps 1",
        f"--d-steps {2 * config.d_steps}",
        config.lr_d <= config.lr_g and f"--lr-d {2 * config.lr_g:g}",
    )


def advice_calmer(config: GameConfig | None, name: str, place: int | None = None) -> str:
    """Against gradients that explode; `name` is as in the log."""
    if config is None:
        return "Try a lower learning rate."
    option = PLAYERS[name][1]
    return _tries(
        config,
        place,
        f"--{option.replace('_', '-')} {getattr(config, option) / 2:g}",
        not config.spectral_norm and "--spectral-norm",
        (config.loss != "wasserstein" and not config.r1) and _alone(config, "--r1 1"),
    )


def advice_critic(config: GameConfig | None, place: int | None = None) -> str:
    """Against a critic that is not Lipschitz."""
    if config is None:
        return "Try a gradient penalty, or a lower learning rate."
    return _tries(
        config,
        place,
        _alone(config, f"--gp {max(10.0, 2 * config.gp):g}"),
        config.clip is not None and f"--clip {(config.clip or 0) / 2:g}",
        f"--lr-d {config.lr_d / 2:g}",
    )


def advice_diverse(config: GameConfig | None, place: int | None = None) -> str:
    """Against samples that are all alike."""
    if config is None:
        return "Try another seed, or lower learning rates."
    return _tries(
        config,
        place,
        not config.minibatch_std and "--minibatch-std",
        not config.spectral_norm and "--spectral-norm",
        f"--lr-g {config.lr_g / 2:g}",
        config.loss != "wasserstein" and _alone(config, "--loss wasserstein --gp 10"),
    )


def won_pairs(config: Any) -> str:
    """What it means for pictures that are made from others, which a distance from the truth teaches as well."""
    if not getattr(config, "l1", 0):
        return "There is no L1 to learn from besides, and what the adversarial loss teaches then is little."
    return (
        "With pairs that is common: L1 goes on to make the pictures better, but the adversarial gradient carries "
        "little, so that detail may stay blurred or repeat itself."
    )


def advice_weaker_on_pairs(config: Any) -> str:
    """Against a discriminator of pairs that wins, by the options that pix2pix has."""
    lr_d, lr_g, patch, width = (getattr(config, name, 0) for name in ("lr_d", "lr_g", "patch", "width_d"))
    smaller = max((side for side in PATCHES if 1 < side < patch), default=0)
    return _tries(
        config,
        None,
        lr_d >= lr_g > 0 and f"--lr-d {lr_g / 2:g}",
        smaller and f"--patch {smaller}",
        not getattr(config, "spectral_norm", True) and "--spectral-norm",
        width > NARROW and f"--width-d {width // 2}",
    )


def advice_stronger_on_pairs(config: Any) -> str:
    """Against a discriminator of pairs that guesses."""
    lr_d, lr_g, patch, width = (getattr(config, name, 0) for name in ("lr_d", "lr_g", "patch", "width_d"))
    larger = min((side for side in PATCHES if side > patch), default=0)
    return _tries(
        config,
        None,
        0 < lr_d <= lr_g and f"--lr-d {2 * lr_g:g}",
        larger and f"--patch {larger}",
        width and f"--width-d {2 * width}",
    )


def _alone(config: GameConfig, flags: str) -> str:
    """A penalty, and what it takes: a discriminator whose batch norm does not mix the pictures."""
    return f"{flags} --norm-d none" if getattr(config, "norm_d", "") == "batch" else flags


def _tries(config: GameConfig | PairOptions, place: int | None, *flags: str | bool | int) -> str:
    """Up to four of those flags that do not stand already, and that go with the other options."""
    found = [flag for flag in flags if isinstance(flag, str) and _fits(config, flag)][:4]
    if not found:
        return "In another run, try another --seed."
    *others, last = found if place is None else [_of_level(place, flag) for flag in found]
    before = f"{', '.join(others)} or " if others else ""
    return f"In another run, {'try' if place is None else 'add to --level-options:'} {before}{last}."


def _values(flags: str) -> dict[str, str]:
    """ "--gp 10 --spectral-norm (for ...)" as {"gp": "10", "spectral_norm": "true"}."""
    found: dict[str, str] = {}
    for part in flags.partition(" (")[0].split("--")[1:]:
        name, _, value = part.strip().partition(" ")
        found[name.replace("-", "_")] = value or "true"
    return found


def _fits(config: GameConfig | PairOptions, flags: str) -> bool:
    """Whether the game could be played with these options in place of its own."""
    own = asdict(config)
    if type(config) is GameConfig:  # that of a level, which may be smaller than a run's pictures
        del own["size"]
    try:
        resolve(type(config), ("the run", own), ("advice", _values(flags)))
    except ConfigError:
        return False
    return True


def _of_level(place: int, flags: str) -> str:
    """ "--lr-d 0.1" as --level-options has it: "0.lr_d=0.1"."""
    _, bracket, why = flags.partition(" (")
    return ",".join(f"{place}.{name}={value}" for name, value in _values(flags).items()) + bracket + why
