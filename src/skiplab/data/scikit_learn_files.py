"""The data that come with scikit-learn: its files, which are found and read without importing it.

The import takes half a second, and brings pandas.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from skiplab.errors import SkiplabError


@cache
def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """What `sklearn.datasets.load_digits` returns: images (1797, 8, 8) of pixels from 0 to 16, and their digits.

    Both are shared by all callers, and are not to be changed.
    """
    table = np.loadtxt(_file("data/digits.csv.gz"), delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)


def read_photograph(name: str) -> np.ndarray:
    """What `sklearn.datasets.load_sample_image` returns: bytes (427, 640, 3), RGB."""
    return np.array(Image.open(_file(f"images/{name}")))


def _file(name: str) -> Path:
    found = find_spec("sklearn")
    folders = found.submodule_search_locations if found else None
    path = Path(*folders or (), "datasets", name)
    if not folders or not path.is_file():
        raise SkiplabError(f"scikit-learn has no {path}; install it again: pip install --force-reinstall scikit-learn")
    return path
