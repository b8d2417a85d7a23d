"""Batches hold the pictures, each once an epoch, whatever the threads, the cache, the processes, the interruptions."""

import itertools
import math
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from gantool.data.cache import free_memory
from gantool.data.image import to_tensor
from gantool.data.labelled import open_labelled
from gantool.data.order import Order, permutation, splitmix64, uniform
from gantool.data.pictures import Item
from gantool.data.set_options import SquareOptions
from gantool.data.squares import square
from gantool.data.training_set import TrainingSet
from gantool.errors import DataError, UsageError

SIDE = 8


def marked(number, label=0):
    """A picture of 8 px: its number in red, its label in green, and in blue what tells where left and top are."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    planes = np.full((SIDE, SIDE), number), np.full((SIDE, SIDE), label), 30 * columns + rows
    return np.stack(planes, axis=2).astype(np.uint8)


class Source:
    """Pictures from a list, labelled by their number modulo 3; reading is counted. None stands for a bad one."""

    classes = ("a", "b", "c")
    kind, label, digits, grey, size = "folder", "set", False, None, None
    remarks: tuple[str, ...] = ()

    def __init__(self, pictures, labels=True, seconds=0.0):
        self.list, self.seconds = pictures, seconds
        self.names = [f"{k}.png" for k in range(len(pictures))]
        self.labels = np.arange(len(pictures)) % 3 if labels else None
        self.pictures = self
        self.reads, self.lock = Counter(), threading.Lock()

    def __len__(self):
        return len(self.list)

    def read(self, index):
        time.sleep(self.seconds)
        with self.lock:
            self.reads[index] += 1
        if self.list[index] is None:
            raise DataError(f"/there/set/{self.names[index]} is cut off.", "Copy it again.")
        return Item(self.names[index], self.list[index])

    def digest(self):
        return "d" * 64


def marked_set(count, bad=(), **options):
    return Source([None if k in bad else marked(k, k % 3) for k in range(count)], **options)


@pytest.fixture
def opened():
    """Make training sets that are closed at the end."""
    sets = []

    def make(source, *, seed=5, rank=0, world=1, say=lambda _: None, **options):
        chosen = SquareOptions(**({"size": SIDE, "batch": 4} | options))
        sets.append(TrainingSet(source, chosen, seed=seed, rank=rank, world=world, say=say))
        return sets[-1]

    yield make
    for one in sets:
        one.close()


def numbers(batch):
    """The numbers of marked pictures."""
    return (((batch.images[:, 0, 0, 0] + 1) / 2) * 255).round().int().tolist()


def drawn(data, batches):
    return list(itertools.chain.from_iterable(numbers(data.next()) for _ in range(batches)))


def loaders():
    return [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


# Order and chance


def test_splitmix64_gives_the_published_sequence():
    # The first outputs for the seed 1234567, as Rosetta Code lists them for this generator.
    expected = [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821,
    ]  # fmt: skip
    assert splitmix64(1234567, np.arange(5, dtype=np.uint64)).tolist() == expected


def test_draws_belong_to_the_picture_and_are_uniform():
    whole = uniform(3, 0, 0, 40_000)
    np.testing.assert_array_equal(uniform(3, 0, 777, 50), whole[777:827])
    far = uniform(3, 0, 2**40, 3)
    assert len(set(far)) == 3
    counts = np.histogram(whole, bins=20, range=(0, 1))[0]
    chi2 = float(((counts - 2000) ** 2 / 2000).sum())
    assert 5 < chi2 < 50  # 19 degrees of freedom: beyond 50 once in 7,000 times
    others = [uniform(3, 1, 0, 40_000), uniform(4, 0, 0, 40_000), [*whole[1:], 0.5]]
    for other in others:  # other streams, other seeds and neighbours are unrelated
        assert abs(np.corrcoef(whole, other)[0, 1]) < 5 / math.sqrt(40_000)


def test_an_epoch_is_a_permutation_of_its_own():
    first, second = permutation(1, 0, 50), permutation(1, 1, 50)
    assert sorted(first) == sorted(second) == list(range(50))
    assert len({tuple(permutation(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}) == 25
    order = Order(1, 50)
    np.testing.assert_array_equal(order.indices(40, 20), [*first[40:], *second[:10]])
    np.testing.assert_array_equal(order.indices(0, 5), first[:5])  # going back
    # Where a picture stands is uniform: the mean place of index 0 over epochs.
    places = [int(np.flatnonzero(permutation(7, epoch, 50) == 0)[0]) for epoch in range(400)]
    assert abs(np.mean(places) - 24.5) < 4 * math.sqrt((50**2 - 1) / 12 / 400)


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (7, 7), (3, 8), (1, 5)])
def test_every_picture_comes_once_an_epoch(opened, count, batch):
    data = opened(marked_set(count), batch=batch)
    found = drawn(data, 3 * count)
    epochs = [found[k : k + count] for k in range(0, len(found), count)]
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert data.position == 3 * count * batch
    assert data.epoch == 3 * batch
    assert len(data) == count
    if count > 6:
        assert len(set(map(tuple, epochs))) > 1


def test_the_seed_decides_the_order(opened):
    a, b, c = (drawn(opened(marked_set(30), seed=seed), 5) for seed in (1, 1, 2))
    assert a == b != c


# The same sequence, whatever happens


def noise_set():
    """Pictures of many sizes."""
    random = np.random.default_rng(0)
    sizes = random.integers(5, 40, (11, 2))
    return Source([random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes])


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("cache", [None, 0])
def test_going_on_elsewhere_gives_the_same_batches(opened, cache, workers):
    options = {"crop": "random", "flip": True, "batch": 6}
    straight = opened(noise_set(), workers=1, cache=0, **options)
    expected = [straight.next() for _ in range(9)]  # almost five epochs
    data = opened(noise_set(), workers=workers, cache=cache, **options)
    assert data.cached == (cache is None)
    for start in (0, 5, 2, 7, 8, 1):
        data.position = 6 * start
        for k in range(start, min(start + 2, 9)):
            assert data.position == 6 * k
            found = data.next()
            assert torch.equal(found.images, expected[k].images)
            assert torch.equal(found.labels, expected[k].labels)
    fresh = opened(noise_set(), workers=workers, cache=cache, **options | {"batch": 3})
    fresh.position = 6 * 4  # as after resuming; the batch may be another one
    found = torch.cat([fresh.next().images, fresh.next().images])
    assert torch.equal(found, expected[4].images)
    with pytest.raises(ValueError, match="position -1"):
        data.position = -1


@pytest.mark.parametrize("world", [2, 3])
def test_the_parts_of_the_processes_make_up_the_batch(opened, world):
    options = {"crop": "random", "flip": True, "batch": 6}
    whole = opened(noise_set(), **options)
    parts = [opened(noise_set(), rank=rank, world=world, **options) for rank in range(world)]
    for _ in range(5):
        expected, found = whole.next(), [part.next() for part in parts]
        assert [len(part.images) for part in found] == [6 // world] * world
        assert torch.equal(torch.cat([part.images for part in found]), expected.images)
        assert torch.equal(torch.cat([part.labels for part in found]), expected.labels)
        assert {part.position for part in parts} == {whole.position}


def test_a_batch_that_cannot_be_shared_is_refused(opened):
    with pytest.raises(UsageError) as caught:
        opened(marked_set(3), batch=5, world=2)
    assert "--batch" in caught.value.hint
    assert "--devices" in caught.value.hint
    with pytest.raises(ValueError, match="rank 2 of 2"):
        opened(marked_set(3), rank=2, world=2)


# What a batch holds


def test_values_are_those_of_the_pictures(opened):
    random = np.random.default_rng(1)
    sizes = [(20, 30), (1, 1), (1, 500), (500, 1), (8, 8), (3, 200), (9, 8)]
    pictures = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    pictures.append(np.full((5, 5, 3), 77, np.uint8))  # a grey one among them
    for crop in ("centre", "squash"):
        data = opened(Source(pictures), flip=False, crop=crop, batch=len(pictures))
        batch = data.next()
        assert (batch.images.dtype, batch.labels.dtype) == (torch.float32, torch.int64)
        assert batch.images.is_contiguous()
        order = permutation(5, 0, len(pictures))
        for row, index in enumerate(order):
            assert torch.equal(batch.images[row : row + 1], to_tensor(square(pictures[index], SIDE, crop)))
        assert batch.labels.tolist() == [index % 3 for index in order]


def test_labels_go_with_their_pictures(opened):
    data = opened(marked_set(20))
    for _ in range(12):
        batch = data.next()
        assert batch.labels.tolist() == [number % 3 for number in numbers(batch)]
        green = ((batch.images[:, 1, 0, 0] + 1) / 2 * 255).round().int()
        assert batch.labels.tolist() == green.tolist()
    assert (data.shape.classes, data.classes) == (3, ("a", "b", "c"))


@pytest.mark.parametrize("source", [marked_set(4), marked_set(4, labels=False)])
def test_without_labels(opened, source):
    data = opened(source, labels="none")
    assert data.next().labels is None
    assert (data.shape.classes, data.classes) == (0, ())


def test_half_of_the_pictures_are_mirrored(opened):
    count = 250
    data = opened(marked_set(count), batch=count, flip=True)
    mirrored, per_picture = 0, Counter()
    for _ in range(4):
        batch = data.next()
        for number, image in zip(numbers(batch), batch.images, strict=True):
            straight = to_tensor(marked(number, number % 3))[0]
            is_mirrored = torch.equal(image, straight.flip(2))
            assert is_mirrored or torch.equal(image, straight)
            mirrored += is_mirrored
            per_picture[number] += is_mirrored
    assert abs(mirrored - 500) < 5 * math.sqrt(1000 / 4)
    assert set(per_picture.values()) == {0, 1, 2, 3, 4}  # drawn anew each time


def test_random_crops_are_windows_of_the_enlarged_middle(opened):
    random = np.random.default_rng(2)
    picture = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    whole = to_tensor(square(picture, 18, "centre"))[0]  # 1.125 times 16
    data = opened(Source([picture]), size=16, crop="random", flip=False, batch=64)
    places = Counter()
    for image in data.next().images:
        found = [
            (top, left) for top in range(3) for left in range(3)
            if torch.equal(whole[:, top : top + 16, left : left + 16], image)
        ]  # fmt: skip
        assert len(found) == 1
        places[found[0]] += 1
    assert len(places) == 9


# Colour


def test_grey_pictures_have_one_channel(opened):
    random = np.random.default_rng(3)
    grey = [np.repeat(random.integers(0, 256, (SIDE, SIDE, 1), dtype=np.uint8), 3, axis=2) for _ in range(5)]
    data = opened(Source(grey))
    assert (data.shape.channels, data.flips) == (1, False)
    batch = data.next()
    for image, index in zip(batch.images, permutation(5, 0, 5), strict=False):
        assert torch.equal(image, to_tensor(grey[index])[0, :1])
    coloured = grey.copy()
    coloured[3] = coloured[3] ^ np.uint8([0, 1, 0])
    assert opened(Source(coloured)).shape.channels == 3
    assert opened(Source(coloured)).flips
    assert opened(Source(coloured), colour="grey").shape.channels == 1
    assert opened(Source(grey), colour="rgb").shape.channels == 3
    assert opened(Source(grey), colour="rgb", flip=False).flips is False
    known = Source(coloured)
    known.grey = True  # said by the source, so that nobody looks
    assert opened(known).shape.channels == 1


def test_colour_becomes_luma(opened):
    picture = np.random.default_rng(4).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    batch = opened(Source([picture]), colour="grey", batch=1).next()
    luma = picture @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
    found = ((batch.images[0, 0].double() + 1) / 2 * 255).numpy()
    assert np.abs(found - luma).max() < 0.51


def test_colour_digits_are_not_mirrored(opened):
    source = marked_set(4)
    source.digits = True
    assert not opened(source).flips
    assert opened(source, flip=True).flips


# Bad pictures


@pytest.mark.parametrize("cache", [None, 0])
def test_bad_pictures_are_replaced_by_the_next_and_named(opened, cache):
    said = []
    source = marked_set(12, bad=(0, 3, 4, 11))  # the last one's next are 0, which is bad, too, and 1
    data = opened(source, batch=12, cache=cache, say=said.append)
    replaced = {0: 1, 3: 5, 4: 5, 11: 1}
    for epoch in range(3):
        batch = data.next()
        expected = [replaced.get(index, index) for index in permutation(5, epoch, 12)]
        assert numbers(batch) == expected
        assert batch.labels.tolist() == [index % 3 for index in expected]
    assert sorted(data.skipped) == [(f"{k}.png", "cut off") for k in (0, 11, 3, 4)]
    assert len(said) == 4
    assert sum(said_of.startswith("3.png cannot be read (cut off)") for said_of in said) == 1
    assert max(source.reads[k] for k in (0, 3, 4, 11)) <= 3  # looked at once for the colour, and not for ever


def test_many_bad_pictures_are_only_counted(opened):
    said = []
    data = opened(marked_set(40, bad=range(1, 21)), batch=40, say=said.append)
    data.next()
    assert len(data.skipped) == 20
    assert len(said) == 6
    data.close()
    assert said[-1] == "20 of 40 pictures could not be read, and others stood in for them."
    data.close()
    assert len(said) == 7


def test_no_readable_picture_is_an_error(opened):
    with pytest.raises(DataError, match=r"None of 3 pictures tried in set can be read \(0.png: cut off\)\."):
        opened(marked_set(3, bad=range(3)))
    with pytest.raises(DataError, match=r"set has no pictures\."):
        opened(marked_set(0))
    for cache in (None, 0):
        source = marked_set(3)
        data = opened(source, cache=cache)
        source.list = [None] * 3  # deleted meanwhile
        with pytest.raises(DataError, match=r"None of the 3 pictures in set can be used \(\d.png: cut off\)"):
            data.next()


# Memory and threads


@pytest.mark.parametrize(("count", "batch"), [(30, 7), (3, 16)])
def test_with_a_cache_each_picture_is_decoded_once(opened, count, batch):
    source = marked_set(count, seconds=0.002)
    data = opened(source, batch=batch, workers=4)
    source.reads.clear()  # of looking for colour
    drawn(data, 4 * count // batch + 6)
    assert source.reads == dict.fromkeys(range(count), 1)


def test_the_cache_has_a_limit(opened):
    gib = 20 * 3 * SIDE * SIDE / 2**30
    for cache, crop, world, cached in [
        (gib, "centre", 1, True), (gib * 0.99, "centre", 1, False), (gib, "random", 1, False),
        (gib * 1.27, "random", 1, True), (gib, "centre", 2, False), (0, "centre", 1, False), (None, "centre", 1, True),
    ]:  # fmt: skip
        source = marked_set(20)
        data = opened(source, cache=cache, crop=crop, world=world, batch=2)
        assert data.cached == cached, (cache, crop, world)
    source = marked_set(4)
    data = opened(source, cache=0)
    drawn(data, 3)
    assert min(source.reads.values()) > 1


def test_free_memory_heeds_the_control_group(tmp_path):
    free = free_memory(tmp_path)
    assert 2**20 < free < 2**50
    (tmp_path / "memory.max").write_text(f"{3 << 20}\n")
    (tmp_path / "memory.current").write_text(f"{1 << 20}\n")
    assert free_memory(tmp_path) == 2 << 20
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 2 << 20


def test_batches_are_prepared_ahead_and_not_too_far(opened):
    source = marked_set(100)
    data = opened(source, workers=2)
    source.reads.clear()
    assert loaders() == []  # nothing before it is asked for
    data.next()
    wait_until(lambda: source.reads.total() == 16)  # the batch and three more
    time.sleep(0.1)
    assert source.reads.total() == 16
    data.next()
    wait_until(lambda: source.reads.total() == 20)
    assert len(loaders()) == 2


def test_seeking_drops_what_was_ahead(opened):
    source = marked_set(400, seconds=0.01)
    data = opened(source, workers=1, batch=32)
    data.next()
    before = source.reads.total()
    data.position = 3200
    data.next()
    assert source.reads.total() - before < 3 * 32  # most of what was queued was never read


def test_no_thread_outlives_its_set():
    data = TrainingSet(marked_set(50, seconds=0.001), SquareOptions(size=SIDE, batch=4, workers=3), seed=0)
    data.next()
    assert len(loaders()) == 3
    assert not any(thread.daemon for thread in loaders())  # Python may abort when it ends while such ones decode
    data.close()
    assert loaders() == []
    with pytest.raises(ValueError, match="closed"):
        data.next()
    with TrainingSet(marked_set(50), SquareOptions(size=SIDE, batch=4, workers=3), seed=0) as data:
        data.next()
    assert loaders() == []
    data = TrainingSet(marked_set(50), SquareOptions(size=SIDE, batch=4, workers=3), seed=0)
    data.next()
    del data
    wait_until(lambda: loaders() == [])


def test_an_error_of_the_program_is_not_swallowed(opened):
    source = marked_set(5)
    data = opened(source)
    source.list[:] = ["no picture"] * 5
    with pytest.raises((AttributeError, ValueError, TypeError)):
        data.next()


def test_a_wait_that_is_interrupted_loses_nothing(opened):
    source = marked_set(20)
    data, straight = opened(source, workers=1), opened(marked_set(20))
    expected = [straight.next().images for _ in range(2)]
    gate = threading.Event()
    read = source.read
    source.read = lambda index: (gate.wait(), read(index))[1]
    main = threading.main_thread().ident
    threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        data.next()
    gate.set()
    assert data.position == 0
    assert torch.equal(data.next().images, expected[0])
    assert torch.equal(data.next().images, expected[1])


SCRIPT = """
import sys, time
sys.path.insert(0, "tests/data")
from test_training_set import SIDE, marked_set
from gantool.data.set_options import SquareOptions
from gantool.data.training_set import TrainingSet
source = marked_set(1000)
read = source.read
source.read = lambda index: (time.sleep(0.1 * (source.reads.total() > 300)), read(index))[1]
data = TrainingSet(source, SquareOptions(size=SIDE, batch=250, workers=4), seed=0)
data.next()
print(time.time(), flush=True)
"""


def test_python_ends_soon_while_pictures_are_being_decoded():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert time.time() - float(done.stdout) < 8  # reading all that was queued would take 18 s


# The rest


def test_a_limit_is_a_fixed_choice(opened):
    sets = [opened(marked_set(60), limit=12, batch=12, seed=seed) for seed in (1, 2)]
    found = [sorted(drawn(data, 1)) for data in sets]
    assert found[0] == found[1]
    assert len(set(found[0])) == 12
    assert found[0] != list(range(12))
    assert {number % 3 for number in found[0]} == {0, 1, 2}
    assert [sorted(drawn(data, 1)) for data in sets] == found
    batch = sets[0].next()
    assert batch.labels.tolist() == [number % 3 for number in numbers(batch)]
    assert len(opened(marked_set(5), limit=9)) == 5


def test_a_sample_is_spread_over_the_set(opened):
    data = opened(marked_set(60), limit=30, labels="none")
    indices, labels = data.spread(7)
    assert len(set(indices)) == 7
    assert (indices[0], indices[-1]) == (0, 29)
    shown = data.pictures(indices)
    assert shown.shape == (7, SIDE, SIDE, 3)
    assert [number % 3 for number in shown[:, 0, 0, 0].tolist()] == labels.tolist()
    assert len(data.spread(99)[0]) == 30


def test_what_a_run_remembers(opened, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v1.2 set").mkdir()
    source = marked_set(7)
    source.label = "v1.2 set"
    source.size = (SIDE, SIDE)
    data = opened(source, size=16, limit=6, crop="random")
    assert data.name == "v1.2 set"
    assert data.describe() == {
        "kind": "set",
        "path": str(tmp_path / "v1.2 set"),
        "source": "folder",
        "sha256": "d" * 64,
        "pictures": 6,
        "classes": ["a", "b", "c"],
        "counts": [list(data.spread(99)[1]).count(label) for label in range(3)],
        "width": 16,
        "height": 16,
        "channels": 3,
        "notes": [
            "6 of 7 pictures are used", "pictures of 8 × 8 px are enlarged", "colour", "random crops", "flips: on",
        ],
    }  # fmt: skip
    source.label, source.kind = "archive.zip", "zip"
    assert opened(source).name == "archive"
    for reference, name in (("builtin:digits", "digits"), ("hf:someone/some-set:train", "some-set")):
        source.label = reference
        assert (opened(source).name, opened(source).describe()["path"]) == (name, reference)


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_real_files(opened, tmp_path, kind):
    """JPEG, PNG and a broken file, decoded by several threads."""
    random = np.random.default_rng(6)
    for k in range(10):
        folder = tmp_path / "set" / "xy"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 16, 3), dtype=np.uint8)).save(
            folder / f"{k}.{'png' if k % 3 else 'jpg'}"
        )
    (tmp_path / "set" / "x" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    if kind == "zip":
        shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "set")
    source = open_labelled(tmp_path / ("set.zip" if kind == "zip" else "set"))
    said = []
    data = opened(source, batch=10, workers=4, flip=False, say=said.append)
    batch = data.next()
    assert (data.classes, data.shape.classes, data.name) == (("x", "y"), 2, "set")
    names = list(source.pictures.names)
    for row, index in enumerate(permutation(5, 0, 10)):
        kept = index + 1 if names[index] == "x/4.png" else index
        expected = to_tensor(square(source.pictures.read(kept).pixels, SIDE))
        assert torch.equal(batch.images[row : row + 1], expected)
        assert batch.labels[row] == "xy".index(names[kept][0])
    assert len(said) == 1
    assert said[0].startswith("x/4.png cannot be read (damaged or cut off")
    looked_at = data.pictures(np.array([names.index("y/1.png"), names.index("x/4.png")]))
    for found, name in zip(looked_at, ("y/1.png", names[names.index("x/4.png") + 1]), strict=True):
        np.testing.assert_array_equal(found, square(source.pictures.read(names.index(name)).pixels, SIDE))


def test_warnings_of_decoders_are_not_shown(opened):
    source = marked_set(8)
    read = source.read

    def warn(index):
        warnings.warn_explicit("odd metadata", UserWarning, "TiffImagePlugin.py", 1, "PIL.TiffImagePlugin")
        return read(index)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        data = opened(source)
        source.read = warn
        data.next()
        data.close()
        warnings.warn("something else", stacklevel=1)  # is shown as ever
    assert [str(one.message) for one in seen] == ["something else"]
