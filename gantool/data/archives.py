"""Pictures inside a zip, read in place: nothing is unpacked to the disk, and nothing in the archive is trusted."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from gantool.data.decode import MAX_PIXELS, READS, Colour, Pixels, decode_picture, is_jpeg
from gantool.data.listing import SUFFIXES, file_mode, natural_order, read_error, what_was_found
from gantool.errors import DataError

MAX_MEMBER = 1 << 30
"""A member that unpacks to more bytes is not read."""

TABLE = "dataset.json"
"""The file that says which picture has which label, as StyleGAN's tools write it."""

_MAX_RATIO = 100  # times smaller than what it unpacks to: more is a bomb,
_RATIO_FROM = 1 << 26  # from this unpacked size in bytes on; small plain pictures shrink a lot, too
_LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, lengths of name and extra field
_SPLIT = "Unpack the archive, and pack it again without that file."


class ZipPictures:
    """The pictures of the archive `path`: its members with a picture's extension, in natural order of their names.

    Folders, links, hidden files, macOS's `__MACOSX` and anything inside nested archives are left out. Of members
    with one name the last counts, as for programs that unpack. Names are labels: nothing is written under them.

    Attributes:
        folders: names of the folders that have an entry of their own, as empty ones must.
        tables: the members called dataset.json, in whatever folder, by their names.
        members: the pictures' own, in the order of `names`.

    Raises:
        DataError: not a zip, damaged, or without pictures.
    """

    kind = "zip"
    parallel = True

    def __init__(self, path: Path) -> None:
        self.path = path
        members: dict[str, zipfile.ZipInfo] = {}
        self.folders: list[str] = []
        self.tables: dict[str, zipfile.ZipInfo] = {}
        others, doubled = Counter[str](), 0
        with open_zip(path) as archive:
            for member in archive.infolist():
                name = member.filename.replace("\\", "/")
                if not _is_file(member, name):
                    if name.endswith("/"):
                        self.folders.append(name.rstrip("/"))
                    continue
                if name.rpartition("/")[2] == TABLE:
                    self.tables[name] = member
                suffix = PurePosixPath(name).suffix
                if suffix.lower() not in SUFFIXES:
                    others[suffix or "without extension"] += 1
                    continue
                doubled += name in members
                members[name] = member
        if not members:
            raise DataError(f"No pictures in {path} (found {what_was_found(others)}).", READS)
        names = natural_order(members)
        self.names: Sequence[str] = [printable(name) for name in names]
        self.remarks = [f"{doubled} left out: a later member has the same name"] if doubled else []
        self.members = [members[name] for name in names]

    def data(self, index: int, most: int | None = None) -> tuple[Path, bytes]:
        """What the picture `index` is called in errors, and its bytes: all of them, whatever `most` says.

        Raises:
            DataError: the member is encrypted, damaged or absurdly large.
        """
        path = Path(f"{self.path}/{self.names[index]}")
        return path, read_member(self.path, self.members[index], path)

    def mark(self, index: int) -> bytes:
        """What tells the picture `index` from others, for a digest: its name, its size in bytes and its checksum."""
        member = self.members[index]
        return f"{self.names[index]}\n{member.file_size} {member.CRC}\n".encode(errors="surrogateescape")

    def load(self, index: int, colour: Colour) -> tuple[Pixels, list[str], bool]:
        """The picture `index` as (H, W, 3) uint8, what was done to it, and whether it comes from JPEG.

        Raises:
            DataError: the member is encrypted, damaged, absurdly large or not a picture.
        """
        path, data = self.data(index)
        pixels, notes = decode_picture(path, data, colour=colour, max_pixels=MAX_PIXELS, min_side=1)
        return pixels, notes, is_jpeg(data)


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open the archive `path` and read its table of contents.

    Raises:
        DataError: it is missing, may not be read, is not a regular file, empty, not a zip, or damaged.
    """
    mode = file_mode(path)
    if not stat.S_ISREG(mode):
        raise DataError(f"{path} is not a regular file.", "Name a zip file.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).", "Copy or download it again.")
    try:
        return zipfile.ZipFile(path)
    except OSError as error:
        raise read_error(path, error) from error
    except Exception as error:  # a forged table of contents raises nearly anything
        reason = str(error).strip().rstrip(".") or type(error).__name__
        raise DataError(
            f"{path} is not a zip archive, damaged or cut off ({reason}).", "Copy or download it again."
        ) from error


def read_member(archive: Path, member: zipfile.ZipInfo, label: Path) -> bytes:
    """The bytes of one `member` of the file `archive`, called `label` in errors; never more than declared.

    Each call opens the file anew, so any number of threads and processes may read the same archive.

    Raises:
        DataError: encrypted, packed by an uncommon method, absurdly large, damaged or cut off.
    """
    check_member(member, label)
    try:
        with open(archive, "rb") as file:
            start = data_offset(file, member)
            if start + member.compress_size > file.seek(0, os.SEEK_END):
                raise _damaged(label, "the archive ends within it")
            file.seek(start)
            packed = file.read(member.compress_size)
    except OSError as error:
        raise read_error(archive, error) from error
    except (ValueError, struct.error) as error:
        raise _damaged(label, "its header is not where the table of contents says") from error
    data = packed
    if member.compress_type == zipfile.ZIP_DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.file_size + 1)
        except zlib.error as error:
            raise _damaged(label, str(error)) from error
    if len(data) != member.file_size:
        raise _damaged(label, "it does not have the size that the table of contents says")
    if zlib.crc32(data) != member.CRC:
        raise _damaged(label, "its checksum is wrong")
    if not data:
        raise DataError(f"{label} is empty (0 bytes).", _SPLIT)
    return data


def check_member(member: zipfile.ZipInfo, label: str | Path, *, most: float = MAX_MEMBER) -> None:
    """Refuse what is not read, before a byte of it is: also a member of more than `most` bytes.

    Raises:
        DataError: `member` is encrypted, packed by an uncommon method or absurdly large.
    """
    if member.flag_bits & 0x1:
        raise DataError(f"{label} is encrypted.", "Unpack the archive with its password and name the folder.")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{label} is packed by method {member.compress_type} instead of deflate.",
            "Unpack the archive and name the folder.",
        )
    size, packed = member.file_size, member.compress_size
    if max(size, packed) > most or (size >= _RATIO_FROM and size > _MAX_RATIO * packed):
        raise DataError(f"{label} would unpack from {packed:,} to {size:,} bytes, which is refused.", _SPLIT)


def data_offset(file: BinaryIO, member: zipfile.ZipInfo) -> int:
    """Where in the archive `file` the member's bytes begin, after its local header.

    Raises:
        ValueError, struct.error: there is no header.
    """
    file.seek(member.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    if signature != b"PK\x03\x04":
        raise ValueError("no local header")
    return member.header_offset + _LOCAL_HEADER.size + int(name) + int(extra)


def printable(name: str) -> str:
    """A name as it may be shown and written: control characters and bytes that are no text become U+FFFD."""
    return name if name.isprintable() else re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "\ufffd", name)


def _is_file(member: zipfile.ZipInfo, name: str) -> bool:
    parts = name.split("/")
    hidden = "__MACOSX" in parts or any(part.startswith(".") and part not in (".", "..") for part in parts)
    link = stat.S_ISLNK(member.external_attr >> 16)  # the Unix mode, where the archive has one
    return not (name.endswith("/") or hidden or link)


def _damaged(label: Path, reason: str) -> DataError:
    return DataError(f"{label} is damaged ({reason}).", "Copy or download the archive again.")
