"""From a decoded picture of any kind to bytes of a fixed shape."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps


def to_pixels(picture: Image.Image, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "channel size size"]:
    """One channel (ITU-R 601-2 luma) or three (RGB); the largest central square, resized where its size differs.

    A picture is first turned as its camera held it; palettes are looked up; what is transparent lies on black;
    16-bit greys keep their upper byte. Resizing is Pillow's bicubic filter, which widens with the scale and so
    doesn't alias (Parmar et al. 2022, arXiv:2104.11222).
    """
    channels, size, _ = shape
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        picture = Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
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
