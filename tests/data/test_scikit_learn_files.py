"""The files that come with scikit-learn give what scikit-learn makes of them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_sample_image

from skiplab.data import scikit_learn_files
from skiplab.errors import SkiplabError


def test_digits_are_scikit_learns() -> None:
    images, digits = scikit_learn_files.read_digits()
    theirs = load_digits()
    for own, other in ((images, theirs.images), (digits, theirs.target)):
        assert own.dtype == other.dtype
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("name", ["china.jpg", "flower.jpg"])
def test_a_photograph_is_scikit_learns(name: str) -> None:
    own, other = scikit_learn_files.read_photograph(name), load_sample_image(name)
    assert own.dtype == other.dtype
    np.testing.assert_array_equal(own, other)


def test_an_installation_without_its_files_is_told() -> None:
    with pytest.raises(SkiplabError, match=r"scikit-learn has no .*nowhere\.jpg; install it again"):
        scikit_learn_files.read_photograph("nowhere.jpg")
