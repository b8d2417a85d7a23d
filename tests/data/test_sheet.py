import numpy as np
import pytest

from gantool.data.sheet import contact_sheet


def flat(height, width, colour):
    return np.full((height, width, 3), colour, np.uint8)


def test_equal_pictures_lie_on_a_grid():
    pictures = [flat(10, 20, (i, 0, 0)) for i in range(6)]
    sheet = contact_sheet(pictures, columns=3, gap=4)
    assert sheet.shape == (2 * 14 + 4, 3 * 24 + 4, 3)
    assert sheet.dtype == np.uint8
    expected = np.full_like(sheet, 255)
    for i in range(6):
        top, left = 4 + i // 3 * 14, 4 + i % 3 * 24
        expected[top : top + 10, left : left + 20] = (i, 0, 0)
    np.testing.assert_array_equal(sheet, expected)


def test_pictures_of_several_sizes_are_centred():
    sheet = contact_sheet([flat(10, 20, 1), flat(4, 6, 2)], columns=2, gap=2, background=(9, 8, 7))
    assert sheet.shape == (14, 46, 3)
    rows, columns = np.nonzero((sheet == 2).all(axis=2))
    assert (rows.min(), rows.max()) == (2 + 3, 2 + 3 + 3)
    assert (columns.min(), columns.max()) == (24 + 7, 24 + 7 + 5)
    assert tuple(sheet[0, 0]) == (9, 8, 7)


def test_grey_pictures_are_taken():
    sheet = contact_sheet([np.full((3, 3), 77, np.uint8)], gap=0)
    np.testing.assert_array_equal(sheet, flat(3, 3, 77))


@pytest.mark.parametrize(
    ("count", "size", "columns"),
    [
        (1, (10, 10), 1),
        (4, (10, 10), 2),
        (9, (10, 10), 3),
        (16, (10, 10), 4),
        (4, (40, 10), 4),
        (4, (10, 40), 1),
    ],
)
def test_the_default_layout_is_near_square(count, size, columns):
    sheet = contact_sheet([flat(*size, 0)] * count, gap=0)
    assert sheet.shape[1] == columns * size[1]


def test_more_columns_than_pictures_leave_no_empty_cells():
    assert contact_sheet([flat(5, 5, 0)] * 2, columns=10, gap=1).shape == (7, 13, 3)


@pytest.mark.parametrize(("background", "ink"), [((255, 255, 255), 0), ((0, 0, 0), 255), ((40, 40, 90), 255)])
def test_labels_are_below_their_picture_and_legible(background, ink):
    plain = contact_sheet([flat(30, 90, 128)] * 2, columns=2, gap=4, background=background)
    sheet = contact_sheet([flat(30, 90, 128)] * 2, columns=2, gap=4, labels=["scale 3", ""], background=background)
    strip = sheet[34:-4].astype(int)
    assert sheet.shape[0] - plain.shape[0] >= 14
    np.testing.assert_array_equal(sheet[:34], plain[:34])
    written = np.abs(strip - np.array(background)).sum(axis=2) > 200
    assert written[:, 4:94].sum() > 60
    assert not written[:, 94:].any()  # the empty label, and nothing beside the cell
    assert np.abs(strip - ink).sum(axis=2).min() < 60
    columns = np.nonzero(written.any(axis=0))[0]
    assert abs((columns[0] - 4) - (93 - columns[-1])) <= 3  # centred
    assert not written[-1].any()  # not cut at the lower edge


def test_a_long_label_stays_inside_its_cell():
    sheet = contact_sheet([flat(10, 60, 0)] * 2, columns=2, gap=6, labels=["a very long label " * 5, "b"])
    assert (sheet[:, 66:72] == 255).all()
    assert (sheet[:, :6] == 255).all()
    assert contact_sheet([flat(2, 2, 0)], labels=["wide"], gap=0).shape[1] == 2
    assert contact_sheet([flat(9, 90, 0)], labels=["two\nlines"]).shape[1] == 98


def test_the_multiplication_sign_is_drawn_as_x():
    pictures = [flat(9, 90, 0)]
    np.testing.assert_array_equal(contact_sheet(pictures, labels=["50×37"]), contact_sheet(pictures, labels=["50x37"]))


def test_max_width_reduces_pictures_by_area():
    board = np.zeros((8, 16, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 200  # every 2 × 2 square has the mean 100
    sheet = contact_sheet([board, board], columns=2, gap=0, max_width=16)
    np.testing.assert_array_equal(sheet, flat(4, 16, 100))
    assert contact_sheet([board] * 5, max_width=50).shape[1] <= 50


@pytest.mark.parametrize(
    ("pictures", "options", "message"),
    [
        ([], {}, "0 pictures"),
        ([flat(2, 2, 0)], {"labels": ["a", "b"]}, "1 pictures, 2 labels"),
        ([flat(2, 2, 0)], {"columns": 0}, "columns"),
        ([flat(2, 2, 0).astype(float)], {}, "uint8"),
        ([flat(2, 2, 0)] * 50, {"columns": 50, "max_width": 100}, "do not fit"),
    ],
)
def test_misuse(pictures, options, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(pictures, **options)
