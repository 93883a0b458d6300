"""Readers who see fewer colors tell the first arms apart, on light and on dark pages."""

import itertools

import numpy as np
import pytest

from skiplab.analysis.figures.palette import VERDICT_COLORS, arm_colors

# Machado, Oliveira and Fernandes 2009, table 1, severity 1; of linear RGB.
SIGHT = {
    "all colors": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
FEWEST_APART = 12  # CIE76 units; about 2 are just seen side by side


def linear(color: str) -> np.ndarray:
    values = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(color: str, sight: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(sight @ linear(color), 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(color)) for color in (a, b))
    return (high + 0.05) / (low + 0.05)


FIRST_SIX = list(arm_colors(["plain", "identity", "c", "d", "e", "f"]).values())


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("colors", [FIRST_SIX, list(VERDICT_COLORS.values())], ids=["arms", "verdicts"])
def test_colors_are_told_apart(colors, sight):
    for a, b in itertools.combinations(colors, 2):
        assert np.linalg.norm(lab(a, SIGHT[sight]) - lab(b, SIGHT[sight])) > FEWEST_APART, (a, b)


@pytest.mark.parametrize("ground", ["#ffffff", "#17181a"])
def test_lines_stand_out_on_both_grounds(ground):
    assert min(contrast(color, ground) for color in (*FIRST_SIX[:4], *VERDICT_COLORS.values())) > 3
