"""The strength that adapts: its arithmetic against a loop in plain numbers, over processes, and after a reload."""

from __future__ import annotations

import copy

import pytest
import torch

from gantool.nn.adaptive import AdaptiveStrength

TARGET, THOUSANDS, BATCH = 0.6, 10.0, 50
STEP = 4 * BATCH / (THOUSANDS * 1000)


def scores(positive: int, negative: int) -> torch.Tensor:
    """So many of each sign, the negative ones far larger: only signs may count."""
    return torch.tensor([0.01] * positive + [-100.0] * negative)


def test_it_moves_each_fourth_update_by_its_share_of_the_pictures():
    strength = AdaptiveStrength(TARGET, THOUSANDS)
    found = []
    for _ in range(9):
        strength.update(scores(45, 5), BATCH)  # r = 0.8
        found.append(strength.p.item())
    assert found == pytest.approx([0, 0, 0, STEP, STEP, STEP, STEP, 2 * STEP, 2 * STEP])


def test_random_signs_against_a_loop():
    generator = torch.Generator().manual_seed(0)
    strength, p, signs = AdaptiveStrength(TARGET, THOUSANDS), 0.0, []
    visited = set()
    for _ in range(400):
        positive = int(torch.randint(34, 47, (), generator=generator))
        strength.update(scores(positive, BATCH - positive), BATCH)
        signs.append((2 * positive - BATCH) / BATCH)
        if len(signs) == 4:
            mean = round(sum(signs) / 4, 9)
            direction = (mean > TARGET) - (mean < TARGET)
            if mean != TARGET:  # a tie is up to the last bit
                visited.add(direction)
                p = min(1.0, max(0.0, p + direction * STEP))
            else:
                p = strength.p.item()
            signs = []
        assert strength.p.item() == pytest.approx(p, abs=1e-6)
    assert visited == {-1, 1}


def test_an_overfitted_discriminator_takes_it_to_1_in_the_time_given_and_no_further():
    strength = AdaptiveStrength(TARGET, THOUSANDS)
    updates = int(THOUSANDS * 1000 / BATCH)
    for _ in range(updates - 4):
        strength.update(scores(50, 0), BATCH)
    assert strength.p.item() == pytest.approx(1 - STEP, abs=1e-5)
    for _ in range(12):
        strength.update(scores(50, 0), BATCH)
    assert strength.p.item() == 1


def test_it_comes_down_again_to_0_and_no_further():
    strength = AdaptiveStrength(TARGET, THOUSANDS)
    strength.p.fill_(1.5 * STEP)
    for expected in (0.5 * STEP, 0.0, 0.0):
        for _ in range(4):
            strength.update(scores(39, 11), BATCH)  # r = 0.56
        assert strength.p.item() == pytest.approx(expected)


def test_processes_with_parts_of_the_batch_agree_with_one_that_has_it_whole():
    """Neither part alone would move it as the whole does."""
    parts, whole = (scores(25, 0), scores(16, 9)), AdaptiveStrength(TARGET, THOUSANDS)
    signs = [part.sign().mean() for part in parts]
    assert signs[0] > TARGET > signs[1]

    def average(tensors):
        for tensor in tensors:
            tensor.copy_(sum(signs) / 2)

    strengths = [AdaptiveStrength(TARGET, THOUSANDS) for _ in parts]
    for _ in range(4):
        whole.update(torch.cat(parts), BATCH)
        for strength, part in zip(strengths, parts, strict=True):
            strength.update(part, BATCH, average)
    assert [strength.p.item() for strength in strengths] == [whole.p.item()] * 2
    assert whole.p.item() == pytest.approx(STEP)


def test_a_state_saved_amid_an_interval_goes_on_alike():
    strength, other = AdaptiveStrength(TARGET, THOUSANDS), AdaptiveStrength(TARGET, THOUSANDS)
    for _ in range(6):
        strength.update(scores(50, 0), BATCH)
    other.load_state_dict(copy.deepcopy(strength.state_dict()))
    for _ in range(2):
        strength.update(scores(35, 15), BATCH)
        other.update(scores(35, 15), BATCH)
    # up by the first four, and by the mean of the others: 0.7, which the last two alone would not reach
    assert strength.p.item() == other.p.item() == pytest.approx(2 * STEP)


def test_the_host_never_learns_the_strength():
    """There are no numbers on the meta device to be asked for. The tensor stays the same one, for who holds it."""
    strength = AdaptiveStrength(TARGET, THOUSANDS).to("meta")
    held = strength.p
    for _ in range(4):
        strength.update(torch.empty(50, device="meta"), BATCH)
    assert strength.p is held


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_scores_of_any_precision_count_the_same(dtype):
    """In bfloat16, numbers about 0.6 are 0.004 apart, and the mean of these signs would fall below the target."""
    strength = AdaptiveStrength(0.599, THOUSANDS)
    for _ in range(4):
        strength.update(scores(3199, 801).to(dtype), BATCH)  # r = 0.5995
    assert strength.p.item() == pytest.approx(STEP)
