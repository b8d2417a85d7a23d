"""Natural order, and folders too large to be slow with."""

import random
import re

from gantool.data.listing import natural_order


def by_parts(name):
    """The definition: text and numbers in turns, then the characters."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return [int(part) if k % 2 else part for k, part in enumerate(parts)], name


def test_numbers_by_value_and_letters_without_case():
    names = ["img10.png", "img2.png", "Img1.png", "b/1.png", "a10/1.png", "a9/12.png", "img02.png"]
    expected = ["a9/12.png", "a10/1.png", "b/1.png", "Img1.png", "img02.png", "img2.png", "img10.png"]
    assert natural_order(names) == expected


def test_the_order_is_that_of_the_definition():
    draw = random.Random(0)
    for _ in range(500):
        names = list({"".join(draw.choices("aAbB01290/.-_ éß", k=draw.randint(1, 7))) for _ in range(30)})
        assert natural_order(names) == sorted(names, key=by_parts)


def test_numbers_longer_than_python_converts():
    long = ["9" * 5000, "1" + "0" * 5000, "0" * 5000 + "7"]
    assert natural_order(long) == [long[2], long[0], long[1]]
