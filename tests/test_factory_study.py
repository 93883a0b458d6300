"""Small studies from Python."""

import json
import random
import sys
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from torch import Tensor, nn

import skiplab
from skiplab.configuration.override_text import override_text
from skiplab.errors import SkiplabError

SHORT = {
    "trainer.max_steps": 4,
    "evaluator": ["denoising_loss"],
    "logger": "none",
    "eval_batch": {"num_images": 16, "num_levels": 2},
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


def labelled(depth: int, channels: int, label: str, sizes: list[float], place: str) -> nn.Module:
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


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A study whose values come from NumPy, generators, paths and a partial, under names that need quotes."""
    runs_dir = tmp_path_factory.mktemp("runs = it's, [here]")
    asked = {
        "factors": {"channels": np.array([2]), "label": ["Größe 1, it's ${seed}\\"], "connection": iter(["identity"])},
        "seeds": (np.int64(seed) for seed in [7]),
        "name": "Größen, 'odd' = 1",
        "runs_dir": runs_dir,
        "settings": {**SHORT, "sizes": (1, np.float32(0.5)), "place": Path("a b/c"), "optimizer.lr": np.float64(1e-2)},
    }
    return partial(labelled, 1), asked, skiplab.study(partial(labelled, 1), "digits", **asked)


def test_values_arrive_as_they_are(odd) -> None:
    _, asked, found = odd
    assert found.name == asked["name"]
    (trial,) = found.trials.to_dict("records")
    assert (trial["status"], trial["seed"]) == ("done", 7)
    (record,) = found.records.values()
    factors = {name.removeprefix("backbone.arguments."): value for name, value in record["factors"].items()}
    assert factors["channels"] == 2
    assert factors["label"] == "Größe 1, it's 7\\"
    assert json.loads(factors["sizes"]) == [1, 0.5]
    assert (factors["place"], factors["depth"], factors["optimizer.lr"]) == ("a b/c", 1, 0.01)


def test_a_trained_network_is_loaded_again(odd, monkeypatch) -> None:
    _, asked, found = odd
    folder = asked["runs_dir"] / found.trials["key"].item()
    before = [parameter.clone() for parameter in skiplab.load(folder, trust=True).model.parameters()]
    monkeypatch.delitem(sys.modules, __name__)  # as another process would: by its import path alone
    assert all(map(torch.equal, before, skiplab.load(folder, trust=True).model.parameters()))


def test_within_an_application_that_uses_hydra(odd, tmp_path) -> None:
    factory, asked, found = odd
    (tmp_path / "theirs.yaml").write_text("mine: 1\n")
    asked = {**asked, "seeds": [7], "factors": {**asked["factors"], "connection": ["identity"]}}
    model = nn.Sequential()
    with initialize_config_dir(config_dir=str(tmp_path), version_base="1.3"):
        again = skiplab.study(factory, "digits", **asked)
        with pytest.raises(SkiplabError, match="shortcut"):
            skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, (torch.zeros(1, 1),)))
        assert compose("theirs").mine == 1
    assert again.trials["key"].tolist() == found.trials["key"].tolist()
    assert not GlobalHydra.instance().is_initialized()


NETWORK = """
from torch import nn

class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, {size}, padding="same")

    def forward(self, x):
        return x + self.conv(x).relu()

class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.skips = nn.Sequential(*(Skip() for _ in range(depth)))

    def forward(self, x, level):
        return self.skips(x)
"""


def test_an_edited_network_is_another(tmp_path, monkeypatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    asked = {"factors": {"depth": [2]}, "seeds": [0], "runs_dir": tmp_path / "runs", "settings": SHORT}
    module = tmp_path / "edited_network.py"
    keys = []
    for size in (3, 5):
        module.write_text(NETWORK.format(size=size))
        sys.modules.pop("edited_network", None)
        keys.append(skiplab.study(import_module("edited_network").Net, "digits", **asked).trials["key"].tolist()[-1])
    assert keys[0] != keys[1]


def test_text_is_read_back_as_it_was() -> None:
    """Drawn from the signs that the grammar of overrides takes for its own."""
    draw, parser = random.Random(0), OverridesParser.create()
    for _ in range(300):
        text = "".join(draw.choices("ab1 '\"\\\n\t,=[]{}()$:é%#~+@.-", k=draw.randint(0, 6)))
        value = draw.choice([text, [text, {"a": text}], {"b": [1, text, None, True, 1e-9, -3, 2**70]}])
        assert parser.parse_override(f"x={override_text(value)}").value() == value
        (first, _) = parser.parse_override(f"x={override_text(value)},0").sweep_string_iterator()
        assert parser.parse_override(f"x={first}").value() == value


class Whole:
    """A factory that isn't a function or class."""

    def __call__(self, depth: int) -> nn.Module:
        return Net(depth, 2)


def norms(depth: int, norm: str) -> nn.Module:
    return Net(depth, 2)


@pytest.mark.parametrize(
    ("factory", "asked", "message"),
    [
        (lambda depth: Net(depth, 4), {}, "can't be imported as .*; define it with `def` or `class`"),
        (Whole(), {}, "can't be imported as .*; define it with `def` or `class`"),
        (Net(1, 2), {}, "model_factory is a network, a Net; give a class or a function that builds"),
        (partial(lambda *sizes: Net(*sizes), 1), {}, "can't be imported"),
        (partial(make, nothing=1), {}, "the arguments of .* don't fit its function: .*nothing"),
        (partial(make, depth=1), {}, "depth is given twice"),
        (make, {"settings": {"depth": 2}}, "depth is given twice"),
        (make, {"factors": {"connection": "plain"}}, "connection='plain' is invalid; valid: a list of values"),
        (make, {"factors": {"connection": []}}, r"connection=\[\] is invalid; valid: a list of values"),
        (make, {"factors": ["depth"]}, "factors is a list; valid: a mapping"),
        (make, {"factors": {"depth": 1}}, "depth=1 is invalid; valid: a list of values"),
        (make, {"factors": {"channels": [2, 2.0]}}, "channels has 2 twice"),
        (make, {"factors": {"channels": count()}}, "channels has more than 10,000 values"),
        (make, {"factors": {"channels": [float("inf")]}}, "channels holds inf, .*valid: finite numbers"),
        (make, {"factors": {"channels": np.array([np.nan])}}, "channels holds nan, .*valid: finite numbers"),
        (make, {"factors": {"channels": [object()]}}, "channels holds a object, .*valid: numbers, text"),
        (make, {"factors": {"channels": [b"2"]}}, "channels holds a bytes, .*valid: numbers, text"),
        (make, {"factors": {"channels": ["\ud800"]}}, "channels holds .* isn't valid Unicode"),
        (make, {"factors": {"channels": [{"a b": 1}]}}, "channels has the key 'a b'; valid: letters"),
        (make, {"factors": {"my channels": [1]}}, "'my channels' is not a factor or setting"),
        (make, {"factors": {"kanäle": [1]}}, "'kanäle' is not a factor or setting"),
        (make, {"factors": {3: [1]}}, "3 is not a factor or setting"),
        (make, {"factors": {"seed": [1]}}, r"seed can't be a factor or setting here; use study\(seeds="),
        (make, {"factors": {"data": ["digits"]}}, r"use study\(data="),
        (make, {"settings": {"run.study": "x"}}, r"use study\(name="),
        (make, {"settings": {"backbone.target": "x"}}, r"use study\(model_factory="),
        (
            norms,
            {"factors": {"norm": ["batch"]}},
            "norm is both an argument of the .* and an axis .*; rename",
        ),
        (norms, {}, "norms needs norm; give each in factors, or in settings if all trials share it"),
        (make, {"seeds": []}, "seeds=.* is invalid; valid: a list"),
        (make, {"seeds": 3}, "seeds=3 is invalid; valid: a list"),
        (make, {"seeds": [1, 0, 1]}, "seeds has 1 twice"),
        (make, {"seeds": [-1]}, "seed=-1 is invalid; valid: a whole number from 0"),
        (make, {"name": "a/b"}, "run.study=.*a/b.* is no valid name"),
        (make, {"data": "digit"}, "digits"),
        (make, {"data": nn.Module}, r"data is the class Module; give an object of it, Module\(...\)"),
        (make, {"factors": {"connection": ["plain", "residual"]}}, "residual"),
        (make, {"factors": {"color": [1]}}, "color"),
        (make, {"settings": {"backbone.path": "nothing.*"}}, "no shortcut has path='nothing"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_trained(tmp_path, factory, asked, message) -> None:
    words = {"data": "digits", "factors": {"connection": ["plain"], "depth": [1]}, "seeds": [0], **asked}
    if isinstance(words["factors"], dict):
        words["factors"] = {"depth": [1], **words["factors"]}
    settings = {**SHORT, **asked.get("settings", {})}
    with pytest.raises(SkiplabError, match=message):
        skiplab.study(factory, words.pop("data"), **{**words, "settings": settings}, runs_dir=tmp_path)
    assert not list(tmp_path.glob("*/record.json"))


def test_a_network_that_no_other_process_can_load_is_refused(tmp_path, monkeypatch) -> None:
    """Of a script or a notebook, whose module is __main__."""
    monkeypatch.setattr(Net, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Net", Net, raising=False)
    factors = {"depth": [1], "channels": [2]}
    with pytest.raises(SkiplabError, match=r"Net is defined in a script or a notebook, .*`from networks import Net`"):
        skiplab.study(Net, "digits", factors=factors, seeds=[0], runs_dir=tmp_path, settings=SHORT)
    assert not list(tmp_path.iterdir())
