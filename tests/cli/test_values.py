import pytest

from gantool.cli.values import parse_duration, pixels, rate, size
from gantool.errors import UsageError
from gantool.wording import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45", 45),
        ("90s", 90),
        ("20m", 1200),
        ("20min", 1200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1.5h", 5400),
        ("1H", 3600),
        ("2d", 172_800),
        ("1h30", 3630),
        ("0.5", 0.5),
    ],
)
def test_durations_are_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-5", "m", "20x", "1m1h", "nan", "inf", "1e3", "h30"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="no length of time"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.9, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 5 s"),
        (599.6, "10 min"),
        (2040, "34 min"),
        (3599, "1 h"),
        (8820, "2 h 27 min"),
        (180_000, "2 d 2 h"),
    ],
)
def test_durations_are_written(seconds, text):
    assert duration(seconds) == text


def test_sizes_and_rates():
    assert [size(n) for n in (812, 12_400, 1_540_000, 93_000_000, 3.2e9)] == [
        "812 B", "12 kB", "1.5 MB", "93 MB", "3.2 GB",
    ]  # fmt: skip
    assert pixels(427, 640) == "640 × 427 px"
    assert [rate(r) for r in (0, 0.25, 12.34, 250.4)] == ["- it/s", "4.0 s/it", "12.3 it/s", "250 it/s"]
