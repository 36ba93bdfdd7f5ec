#!/usr/bin/env python3
"""Builds the sample archives that are compiled into zoo. Needs only Python's standard library.

    python3 build.py DIGITS.csv PHOTOS_FOLDER

DIGITS.csv is the UCI file: 64 values of 0...16 in row order and the label per line. PHOTOS_FOLDER holds one folder
per ImageNet class, named by WordNet id. The same input always gives the same bytes: entries are sorted and stored,
dates are fixed, and the PNG files use stored deflate blocks, so no compressor's version matters.
"""

import struct
import sys
import zipfile
import zlib
from pathlib import Path

TEST_ROWS_FROM = 1437


def png_chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def grey_png(rows):
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(row) for row in rows)
    stream = b"\x78\x01\x01" + struct.pack("<HH", len(pixels), len(pixels) ^ 0xFFFF) + pixels
    stream += struct.pack(">I", zlib.adler32(pixels))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", stream)
        + png_chunk(b"IEND", b"")
    )


def digits(csv):
    for index, line in enumerate(csv.read_text().split()):
        *values, label = [int(value) for value in line.split(",")]
        rows = [[round(value * 255 / 16) for value in values[start : start + 8]] for start in range(0, 64, 8)]
        split = "train" if index < TEST_ROWS_FROM else "test"
        yield f"{split}/{label}/{index:04}.png", grey_png(rows)


def photos(folder):
    for path in folder.glob("n????????/*"):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


def write_archive(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(entries):
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    here = Path(__file__).parent
    write_archive(here / "digits.zip", digits(Path(sys.argv[1])))
    write_archive(here / "imagenet-sample.zip", photos(Path(sys.argv[2])))
