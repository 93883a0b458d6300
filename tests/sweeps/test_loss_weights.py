"""A sweep over predictions says that its arms differ in what the loss weighs, and no other sweep does."""

import pytest

from skiplab.cli import main
from tiny_trials import TINY

EDM = ["noise_schedule=log_normal", "prediction=edm,edm_c_skip_0"]


def shown(overrides: list[str], capsys: pytest.CaptureFixture) -> str:
    main(["train", "-m", *TINY, *overrides, "--dry-run"])
    return " ".join(capsys.readouterr().out.split())


def test_outputs_of_one_weighting_of_the_image(capsys) -> None:
    found = shown([*EDM, "loss_weighting=edm"], capsys)
    assert (
        "predictions differ in what the loss weighs: loss_weighting=edm gives errors of outputs a mean weight" in found
    )
    assert "of 1 (edm) to 107 (edm_c_skip_0)" in found


def test_images_of_one_weighting_of_the_output(capsys) -> None:
    """Of an output error 1, that of x0 has weight 1 / c_out^2: 1 / 0.75^2 with c_skip 0."""
    found = shown(["prediction=edm_c_skip_0,x0", "noise_schedule=log_normal", "loss_weighting=uniform"], capsys)
    assert "loss_weighting=uniform gives errors of images a mean weight of 1 (x0) to 1.78 (edm_c_skip_0)" in found


@pytest.mark.parametrize("overrides", [["connection=plain,identity"], ["loss_weighting=snr,uniform"]])
def test_one_prediction(overrides: list[str], capsys) -> None:
    assert "what the loss weighs" not in shown(overrides, capsys)
