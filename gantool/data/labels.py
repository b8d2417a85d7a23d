"""Labels of pictures, from the folders they lie in, from `dataset.json`, or from an array."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantool.data.archives import TABLE, check_member, printable
from gantool.data.listing import natural_order
from gantool.data.npy import StoredArray
from gantool.errors import DataError

Labels = NDArray[np.int64]

MOST_CLASSES = 65536
MAX_TABLE = 1 << 28
"""A `dataset.json` of more bytes is not read."""

_FORMAT = 'It holds {"labels": [["name.png", 0], ...]}, as StyleGAN\'s dataset_tool.py writes it.'
_WHOLE = f"Labels are whole numbers from 0 to {MOST_CLASSES - 1:,}."


def class_folders(names: Sequence[str]) -> tuple[Labels, tuple[str, ...], str] | None:
    """Labels from the folders that pictures lie in; None unless each lies in one.

    The classes are the folders at the top. A single folder at the top that holds nothing but folders is stepped into.

    Args:
        names: paths with "/", relative to the top.

    Returns:
        Labels (N,), the classes in natural order, and the folder stepped into ("" or "name/").
    """
    if not all("/" in name for name in names):
        return None
    prefix = ""
    while True:
        heads = {name[len(prefix) : name.index("/", len(prefix))] for name in names}
        inner = f"{prefix}{next(iter(heads))}/"
        if len(heads) > 1 or not all("/" in name[len(inner) :] for name in names):
            break
        prefix = inner
    classes = tuple(natural_order(heads))
    number = {name: label for label, name in enumerate(classes)}
    start = len(prefix)
    labels = np.fromiter((number[name[start : name.index("/", start)]] for name in names), np.int64, len(names))
    return labels, classes, prefix


def read_table(text: bytes, names: Sequence[str], where: str) -> tuple[Labels, tuple[str, ...]] | None:
    """Labels from the bytes of a `dataset.json`; None where it says that there are none (`"labels": null`).

    Args:
        text: the file.
        names: the pictures, as paths relative to where the file lies.
        where: what to call the file in errors.

    Returns:
        Labels (N,) in the order of `names`, and the names of the classes ("0", "1", ... unless it has "classes").

    Raises:
        DataError: not JSON, not of this form, or without a label for some of `names`.
    """
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(f"{where} is not valid JSON{at}.", _FORMAT) from error
    if not isinstance(table, dict) or "labels" not in table:
        raise DataError(f"{where} has no labels.", f"{_FORMAT} Rename it if it is something else.")
    rows = table["labels"]
    if rows is None:
        return None
    if not isinstance(rows, list):
        raise DataError(f"The labels in {where} are not a list.", _FORMAT)
    found: dict[str, Any] = {}
    for number, row in enumerate(rows, 1):
        if not (isinstance(row, list) and len(row) == 2 and isinstance(row[0], str)):
            raise DataError(f"Label {number:,} in {where} is not a name and a label.", _FORMAT)
        found[printable(row[0].replace("\\", "/"))] = row[1]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{where} has no label for {len(missing):,} of {len(names):,} pictures (the first is {missing[0]}).",
            "Label them, remove them, or rename dataset.json to train without labels.",
        )
    length = _one_hot_length([found[name] for name in names], where)
    labels = np.array([_number(found[name], length, name, where) for name in names], np.int64)
    return labels, _class_names(table.get("classes"), labels, length, where)


def stored_labels(array: StoredArray, count: int) -> tuple[Labels, tuple[str, ...]]:
    """Labels of `count` pictures from an array in a file: whole numbers (N,) or (N, 1), or one-hot (N, K).

    Raises:
        DataError: another shape or kind of values, or it cannot be read.
    """
    where, shape = array.label, array.shape
    if array.dtype.kind not in "biuf":
        raise DataError(f"{where} are labels of the type {array.dtype.name}.", _WHOLE)
    if len(shape) not in (1, 2) or shape[0] != count or shape[-1] > max(count, MOST_CLASSES):
        raise DataError(f"{where} has the shape {shape}, but there are {count:,} pictures.", "Give each one label.")
    if array.member is not None:
        check_member(array.member, where)
    flat = np.concatenate(list(array.chunks(1 << 20)))
    values = flat.reshape(shape, order="F" if array.fortran else "C")
    length = 0
    if values.ndim == 2 and shape[1] == 1:
        values = values[:, 0]
    elif values.ndim == 2:
        length = shape[1]
        if not ((values == 0) | (values == 1)).all() or not (values.sum(axis=1) == 1).all():
            raise DataError(f"{where} has rows of {length} values that are not one-hot.", "One 1 a row, and else 0.")
        values = values.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        labels = values.astype(np.int64)
    strange = (labels != values) | (labels < 0) | (labels >= MOST_CLASSES)
    if strange.any():
        first = int(strange.argmax())
        raise DataError(f"In {where} the label of picture {first:,} is {values[first]}.", _WHOLE)
    return labels, numbered(max(length, int(labels.max()) + 1))


def numbered(count: int) -> tuple[str, ...]:
    """Classes that are called by their numbers: "0", "1", ..."""
    return tuple(map(str, range(count)))


def _one_hot_length(labels: list[Any], where: str) -> int:
    """How long all labels are, where they are lists; 0 where none is."""
    lengths = {len(label) if isinstance(label, list) else 0 for label in labels}
    if len(lengths) > 1 or any(length > MOST_CLASSES for length in lengths):
        raise DataError(f"The labels in {where} are of several kinds or lengths.", _WHOLE)
    return lengths.pop()


def _number(label: Any, length: int, name: str, where: str) -> int:
    """The label as a whole number; a one-hot list becomes the place of its 1."""
    if length:
        numbers = all(isinstance(value, int | float) for value in label)
        if not numbers or sorted(label) != [0] * (length - 1) + [1]:
            raise DataError(
                f"The label of {name} in {where} is a list that is not one-hot.",
                f"{_WHOLE} One-hot lists are understood, other vectors are not classes.",
            )
        return int(label.index(1))
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < MOST_CLASSES:
        raise DataError(f"The label of {name} in {where} is {printable(str(label)[:40])}.", _WHOLE)
    return label


def _class_names(names: Any, labels: Labels, length: int, where: str) -> tuple[str, ...]:
    needed = max(length, int(labels.max()) + 1)
    if names is None:
        return numbered(needed)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) < needed:
        raise DataError(
            f"The classes in {where} are not a list of {needed} names.", f"Leave out the key classes of {TABLE}."
        )
    return tuple(map(printable, names))
