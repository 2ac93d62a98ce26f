"""Pictures made for tests: every size, format and fault can be had without a file."""

import io
import struct
import zlib

from PIL import Image

from image_model.catalog import SAMPLES_FOLDER


def digit(number: int) -> bytes:
    """A sample picture of a handwritten digit."""
    return (SAMPLES_FOLDER / f"digit-{number}.png").read_bytes()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    """An RGB picture in which red grows to the right, green downwards."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.new("L", (width, height), 128)))


def encoded(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    """A picture as the bytes of a file."""
    out = io.BytesIO()
    image.save(out, format_name, **options)
    return out.getvalue()


def huge_png(width: int = 13_000, height: int = 13_000) -> bytes:
    """A small PNG file of very many pixels: 169 megapixels in about 20 kB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = b"\0" * (1 + width // 8 + 1)
    pixels = zlib.compress(row * height, 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
