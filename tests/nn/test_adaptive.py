"""The adaptive strength against the arithmetic of ADA, section 3.2: 4 updates, then one step towards the target."""

import pytest
import torch

from gantool.nn.adaptive import AdaptiveStrength

REALS, FAKES = torch.full((8,), 3.0), torch.full((8,), -0.1)


def strength(p=0.0, target=0.6, thousands=500):
    adaptive = AdaptiveStrength(target, thousands)
    adaptive.p.fill_(p)
    return adaptive


def feed(adaptive, scores, times, batch=64):
    for _ in range(times):
        adaptive.update(scores, batch)
    return adaptive.p.item()


def test_it_starts_at_0():
    assert AdaptiveStrength(0.6, 500).p.item() == 0


def test_sure_of_the_reals_it_rises_and_unsure_it_falls():
    step = 4 * 64 / 500_000
    assert feed(strength(0.5), REALS, 4) == pytest.approx(0.5 + step)
    assert feed(strength(0.5), FAKES, 4) == pytest.approx(0.5 - step)
    assert feed(strength(0.5), REALS, 12) == pytest.approx(0.5 + 3 * step)


def test_only_each_fourth_update_changes_it():
    adaptive = strength(0.5)
    seen = [feed(adaptive, REALS, 1) for _ in range(9)]
    assert seen[:3] == [0.5] * 3
    assert len(set(seen[3:7])) == 1
    assert seen[7] > seen[3] > 0.5
    assert seen[8] == seen[7]


def test_what_counts_is_the_mean_sign_of_the_last_four():
    scores = [torch.tensor([100.0] * 9 + [-0.001]), torch.tensor([0.1] * 7 + [-50.0] * 3)]  # mean signs 0.8 and 0.4
    for target, up in ((0.59, True), (0.61, False)):
        adaptive = strength(0.5, target)
        for i in range(4):
            adaptive.update(scores[i % 2], 10)
        assert (adaptive.p > 0.5) == up
    # What was seen before the last change has no say.
    adaptive = strength(0.5)
    step = feed(adaptive, REALS, 4) - 0.5
    assert feed(adaptive, FAKES, 4) == pytest.approx(0.5)
    assert step > 0


def test_on_the_target_it_stays():
    assert feed(strength(0.5, target=0.5), torch.tensor([1.0, 2.0, 3.0, -1.0]), 8) == 0.5


def test_it_stays_between_0_and_1():
    assert feed(strength(0.0001), FAKES, 4) == 0
    assert feed(strength(0.9999), REALS, 4) == 1
    assert feed(strength(1), FAKES, 4) == pytest.approx(1 - 4 * 64 / 500_000)  # it comes back


@pytest.mark.parametrize(("thousands", "batch"), [(10, 50), (2, 100), (0.5, 8)])
def test_from_0_to_1_it_takes_that_many_thousands(thousands, batch):
    adaptive, updates = strength(thousands=thousands), 0
    while adaptive.p < 1 - 1e-6:
        adaptive.update(REALS, batch)
        updates += 1
        assert updates < 1000
    # Whole intervals of 4 updates.
    assert thousands * 1000 <= updates * batch < thousands * 1000 + 4 * batch


def test_signs_are_averaged_over_the_processes():
    class Peer:
        """As if another process had seen signs of -1."""

        asked = 0

        def average(self, tensors):
            self.asked += 1
            for tensor in tensors:
                tensor.sub_(1).div_(2)

    adaptive, peer = strength(0.5, target=0.1), Peer()
    for _ in range(4):
        adaptive.update(REALS, 64, peer.average)
    assert peer.asked == 4
    assert adaptive.p < 0.5  # alone it would have risen


def test_its_state_is_saved():
    a, b = strength(0.25), strength()
    feed(a, REALS, 3)
    b.load_state_dict(a.state_dict())
    assert feed(a, FAKES, 1) == feed(b, FAKES, 1) != 0.25
    assert b.p.item() != 0.25
