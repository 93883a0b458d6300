"""Small studies from Python."""

import pytest
from torch import Tensor, nn

import skiplab
from skiplab.errors import SkiplabError

SHORT = {
    "trainer.max_steps": 4,
    "evaluator": ["denoising_loss"],
    "logger": "none",
    "probe": {"num_images": 16, "num_levels": 2},
    "num_samples": 32,
    "hydra/launcher": "basic",
}


class Net(nn.Module):
    def __init__(self, depth: int, channels: int) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, channels, 1), nn.Conv2d(channels, 1, 1)
        self.layers = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(depth))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        x = self.stem(x) + level[:, None, None, None]
        for layer in self.layers:
            x = x + layer(x).relu()
        return self.head(x)


def make(depth: int, channels: int = 4) -> nn.Module:
    return Net(depth, channels)


def test_runs_the_grid_and_skips_what_is_done(tmp_path, capsys) -> None:
    asked = {"factors": {"connection": ["plain", "identity"], "depth": [1, 2], "channels": [2, 4]}, "seeds": [3]}
    found = skiplab.study(make, "digits", **asked, runs_dir=tmp_path, settings=SHORT)
    assert len(found.trials) == 8
    assert set(found.trials["status"]) == {"done"}
    assert set(found.trials["backbone.arguments.channels"]) == {2, 4}
    assert set(found.trials["num_joins"]) == {1, 2}
    assert (found.trials["num_joins"] == found.trials["depth"]).all()
    again = skiplab.study(make, "digits", **asked, runs_dir=tmp_path, settings=SHORT)
    assert "8 already done" in capsys.readouterr().out
    assert again.trials["loss_val"].equals(found.trials["loss_val"])


@pytest.mark.parametrize(
    ("factory", "asked", "message"),
    [
        (lambda depth: Net(depth, 4), {}, "can't be imported by its name; define it with `def` or `class`"),
        (make, {"factors": {"connection": "plain"}}, "connection='plain' is invalid; valid: a list of values"),
        (make, {"seeds": []}, "seeds=.* is invalid"),
        (make, {"factors": {"connection": ["plain", "residual"]}}, "residual"),
        (make, {"factors": {"colour": [1]}}, "colour"),
        (make, {"settings": {"backbone.path": "nothing.*"}}, "no shortcut has path='nothing"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(tmp_path, factory, asked, message) -> None:
    words = {"factors": {"connection": ["plain"], "depth": [1]}, "seeds": [0], **asked}
    words["factors"] = {"depth": [1], **words["factors"]}
    settings = {**SHORT, **asked.get("settings", {})}
    with pytest.raises(SkiplabError, match=message):
        skiplab.study(factory, "digits", **{**words, "settings": settings}, runs_dir=tmp_path)
    assert not list(tmp_path.glob("*/record.json"))
