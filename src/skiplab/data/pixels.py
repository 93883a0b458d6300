"""Decoded pictures of any mode as bytes of a fixed shape."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

_GRAYS_OF_16_BITS = ("PNG", "PPM")  # formats that know none of 32, which Pillow may give by the mode of those
_LARGEST = {"I": 255, "F": 1}  # what is white, by Pillow's mode


def to_pixels(picture: Image.Image, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "channel size size"]:
    """One channel (ITU-R 601-2 luma) or three (RGB); the largest central square, resized if its size differs.

    A picture is first rotated by its EXIF orientation; palettes are resolved; transparency is put on black. Grays of 16
    bits keep their upper byte. 32-bit integers must lie in 0 to 255, and floating-point values in 0 to 1, which are
    multiplied by 255, since only then black and white are known.
    Resizing is Pillow's bicubic filter, which widens with the scale and so doesn't alias (Parmar et al. 2022,
    arXiv:2104.11222).

    Raises:
        ValueError: if values are outside these ranges.
    """
    channels, size, _ = shape
    gray_of_16_bits = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in _GRAYS_OF_16_BITS)
    picture = ImageOps.exif_transpose(picture)
    if gray_of_16_bits:
        picture = Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif picture.mode in _LARGEST:
        picture = Image.fromarray(_levels(np.asarray(picture), _LARGEST[picture.mode]))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    side = min(picture.size)
    if picture.size != (side, side):
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(picture)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _levels(values: np.ndarray, white: int) -> UInt8[np.ndarray, "height width"]:
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= white:
        raise ValueError(
            f"its 32-bit values range from {low:g} to {high:g}, but valid values are 0 to {white}; "
            "save it with 8 or 16 bits"
        )
    return np.rint(values * (255 / white)).astype(np.uint8)
