#!/usr/bin/env python3
"""Makes ../png.json and ../jpeg.json, small image files (base64) with the SHA-256 of the RGB pixels that they stand for,
and ../transforms/resize.json and transform.json, hashes of resized and of cropped noise.

    python3 -m venv VENV && VENV/bin/pip install pillow==11.3.0
    cc encode.c -ljpeg -o encode && VENV/bin/python generate.py ./encode

Pillow is the judge of every JPEG file. The PNG files are written here, filter by filter, and both Pillow and the
samples that went in must agree; 16-bit grey, which Pillow clips, follows libpng's scaling to 8 bits.
"""

import base64
import hashlib
import io
import json
import math
import random
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, payload):
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def pack(samples, depth):
    if depth == 16:
        return b"".join(struct.pack(">H", s) for s in samples)
    if depth == 8:
        return bytes(samples)
    out = bytearray((len(samples) * depth + 7) // 8)
    for i, s in enumerate(samples):
        out[i * depth // 8] |= s << (8 - depth - i * depth % 8)
    return bytes(out)


def filtered(rows, step, rng):
    """Each row with a random filter type in front."""
    out = bytearray()
    previous = bytes(len(rows[0])) if rows else b""
    for row in rows:
        kind = rng.randrange(5)
        out.append(kind)
        for i, x in enumerate(row):
            a = row[i - step] if i >= step else 0
            b = previous[i]
            c = previous[i - step] if i >= step else 0
            p = a + b - c
            paeth = min((a, b, c), key=lambda v: abs(p - v))
            out.append((x - (0, a, b, (a + b) // 2, paeth)[kind]) % 256)
        previous = row
    return bytes(out)


def png(color, depth, width, height, interlaced, extra, rng):
    channels = CHANNELS[color]
    top = 1 << depth
    palette = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(min(top, 256))]
    smooth = rng.random() < 0.5
    pixels = [
        [
            [((x * 7 + y * 5 + c * 3) * top // 64) % top if smooth else rng.randrange(top) for c in range(channels)]
            for x in range(width)
        ]
        for y in range(height)
    ]
    step = max(1, channels * depth // 8)
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b""
    for x0, y0, dx, dy in passes:
        rows = [
            pack([s for x in range(x0, width, dx) for s in pixels[y][x]], depth)
            for y in range(y0, height, dy)
            if x0 < width
        ]
        data += filtered(rows, step, rng)
    out = b"\x89PNG\r\n\x1a\n"
    out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))
    if color == 3:
        out += chunk(b"PLTE", bytes(v for entry in palette for v in entry))
    if extra == "tRNS":
        out += chunk(b"tRNS", {0: b"\0\1", 2: b"\0\1\0\2\0\3", 3: bytes(rng.randrange(256) for _ in palette)}[color])
    stream = zlib.compress(data)
    cut = len(stream) // 2 if extra == "split" else len(stream)
    for part in (stream[:cut], stream[cut:]):
        if part:
            out += chunk(b"IDAT", part)
    out += chunk(b"IEND", b"")

    def eight_bits(s):
        if depth == 16:
            return (s * 255 + 32895) >> 16 if color == 0 else s >> 8
        return s * 255 // (top - 1)

    def rgb(pixel):
        if color == 3:
            return palette[pixel[0]]
        values = [eight_bits(s) for s in pixel]
        return values[:3] if color in (2, 6) else values[:1] * 3

    expected = bytes(v for row in pixels for pixel in row for v in rgb(pixel))
    return out, expected


def pillow(data):
    image = Image.open(io.BytesIO(data))
    return image.mode, image.convert("RGB").tobytes()


def entry(name, data, mode, width, height, pixels):
    digest = hashlib.sha256(pixels).hexdigest()
    encoded = base64.b64encode(data).decode()
    return {"name": name, "mode": mode, "width": width, "height": height, "rgb_sha256": digest, "data": encoded}


def png_cases():
    rng = random.Random(1)
    for color in DEPTHS:
        for depth in DEPTHS[color]:
            for interlaced in (0, 1):
                extras = ("", "", "tRNS" if color in (0, 2, 3) else "", "split", "")
                for (width, height), extra in zip(((1, 1), (1, 9), (13, 11), (32, 7), (5, 33)), extras):
                    name = f"color{color}-depth{depth}-{'adam7' if interlaced else 'plain'}-{width}x{height}"
                    data, expected = png(color, depth, width, height, interlaced, extra, rng)
                    mode, pixels = pillow(data)
                    mode = "LA" if color == 4 else mode
                    assert (color, depth) == (0, 16) or pixels == expected, name
                    yield entry(name + (extra and "-" + extra), data, mode, width, height, expected)
    # A palette shorter than its indices: Pillow takes black for the missing entries.
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 1, 8, 3, 0, 0, 0))
    data += chunk(b"PLTE", b"\x10\x20\x30") + chunk(b"IDAT", zlib.compress(b"\0\0\1\2\xff")) + chunk(b"IEND", b"")
    mode, pixels = pillow(data)
    yield entry("palette-too-short", data, mode, 4, 1, pixels)


def photo(width, height, channels, seed):
    rng = random.Random(seed)
    waves = [(rng.uniform(0.02, 0.4), rng.uniform(0.02, 0.4), rng.uniform(0, 6)) for _ in range(channels)]
    out = bytearray()
    for y in range(height):
        for x in range(width):
            for fx, fy, phase in waves:
                value = 128 + 90 * math.sin(fx * x + fy * y + phase) + rng.gauss(0, 8)
                out.append(max(0, min(255, round(value))))
    return bytes(out)


def jpeg_cases(encoder):
    spaces = {
        "grey": ("11", "22"),
        "ycc": ("11,11,11", "21,11,11", "22,11,11", "41,11,11", "12,11,11", "14,11,11", "42,11,11", "22,21,21",
                "22,12,12", "11,22,11", "31,11,11"),
        "rgb": ("11,11,11",),
        "cmyk": ("11,11,11,11", "22,11,11,22"),
        "ycck": ("11,11,11,11", "22,11,11,22"),
    }
    modes = ("baseline", "progressive", "arithmetic", "progressive-arithmetic", "scans")
    sizes = ((1, 1), (17, 3), (31, 33), (8, 16), (40, 23))
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        raw, out = f"{folder}/in.raw", f"{folder}/out.jpg"
        for space, samplings in spaces.items():
            channels = {"grey": 1, "ycc": 3, "rgb": 3}.get(space, 4)
            for sampling in samplings:
                for mode in modes:
                    width, height = sizes[count % len(sizes)]
                    restart = (0, 1, 3)[count % 3]
                    quality = (90, 35, 75, 98)[count % 4]
                    count += 1
                    Path(raw).write_bytes(photo(width, height, channels, count))
                    subprocess.run(
                        [encoder, raw, str(width), str(height), space, sampling, mode, str(restart), str(quality), out],
                        check=True,
                    )
                    data = Path(out).read_bytes()
                    pillow_mode, pixels = pillow(data)
                    name = f"{space}-{sampling.replace(',', '-')}-{mode}-restart{restart}-{width}x{height}"
                    yield entry(name, data, pillow_mode, width, height, pixels)


FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def noise(width, height):
    """The upper bytes of a linear congruential sequence; the tests have the same."""
    state, out = 1, bytearray()
    for _ in range(width * height * 3):
        state = (state * 1664525 + 1013904223) % 2**32
        out.append(state >> 24)
    return Image.frombytes("RGB", (width, height), bytes(out))


def sha256(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def resize_cases():
    sizes = ((1, 1), (1, 17), (40, 1), (2, 3), (31, 32), (57, 90), (200, 150))
    for width, height in sizes:
        for to_width, to_height in ((1, 1), (32, 32), (57, 90), (7, 61), (150, 44)):
            for interpolation in FILTERS:
                image = noise(width, height).resize((to_width, to_height), FILTERS[interpolation])
                yield {"width": width, "height": height, "toWidth": to_width, "toHeight": to_height,
                       "interpolation": interpolation, "sha256": sha256(image)}


def transformed(image, input_height, input_width, crop_pct, mode, interpolation):
    """The evaluation transform as timm and torchvision define it."""
    target = (math.floor(input_height / crop_pct), math.floor(input_width / crop_pct))
    width, height = image.size
    if mode == "squash":
        size = target
    elif target[0] == target[1]:
        short, long = min(width, height), max(width, height)
        longer = int(target[0] * long / short)
        size = (longer, target[0]) if width <= height else (target[0], longer)
    else:
        ratio = min(height / target[0], width / target[1])
        size = (round(height / ratio), round(width / ratio))
    image = image.resize((size[1], size[0]), FILTERS[interpolation])
    pad_top, pad_left = (max(0, (n - s) // 2) for n, s in zip((input_height, input_width), size))
    height, width = max(size[0], input_height), max(size[1], input_width)
    padded = Image.new("RGB", (width, height))
    padded.paste(image, (pad_left, pad_top))
    top, left = round((height - input_height) / 2.0), round((width - input_width) / 2.0)
    return padded.crop((left, top, left + input_width, top + input_height))


def transform_cases():
    images = ((100, 151), (151, 100), (64, 64), (9, 40), (1, 5), (333, 30))
    settings = (
        (64, 64, 0.875, "center"), (64, 64, 1.0, "center"), (33, 33, 0.9, "center"), (64, 64, 1.25, "center"),
        (48, 80, 0.875, "center"), (80, 48, 0.95, "center"), (56, 57, 1.3, "center"),
        (64, 64, 1.0, "squash"), (40, 72, 0.9, "squash"), (31, 30, 1.1, "squash"),
    )
    for index, (width, height) in enumerate(images):
        for number, (input_height, input_width, crop_pct, mode) in enumerate(settings):
            interpolation = tuple(FILTERS)[(index + number) % 3]
            image = transformed(noise(width, height), input_height, input_width, crop_pct, mode, interpolation)
            yield {"width": width, "height": height, "inputHeight": input_height, "inputWidth": input_width,
                   "cropPct": crop_pct, "cropMode": mode, "interpolation": interpolation, "sha256": sha256(image)}


def write(path, cases):
    lines = ",\n".join(json.dumps(case) for case in cases)
    path.write_text("[\n" + lines + "\n]\n")


write(HERE.parent / "png.json", png_cases())
write(HERE.parent / "jpeg.json", jpeg_cases(sys.argv[1]))
write(HERE.parent / "transforms/resize.json", resize_cases())
write(HERE.parent / "transforms/transform.json", transform_cases())
