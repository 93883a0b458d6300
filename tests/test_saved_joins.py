"""Joins that are saved beside the weights, and brought back."""

import functools
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import skiplab
from skiplab.blocks.connections.identity import Identity
from skiplab.blocks.connections.scaled import Scaled
from skiplab.errors import SkiplabError


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x).tanh()


def network(width: int = 4, depth: int = 3) -> nn.Module:
    return nn.Sequential(*(Block(width) for _ in range(depth)))


X = torch.linspace(-1, 1, 20).view(5, 4)


def ablated(connection, which: slice = slice(None)) -> nn.Module:
    """A network whose joins have parameters of their own."""
    torch.manual_seed(0)
    model = network()
    skiplab.ablate(model, connection, skiplab.find_shortcuts(model, X)[which])
    with torch.no_grad():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            if "skiplab_joins" in name:
                tensor.uniform_(0.1, 0.9)
    return model


def brought_back(model: nn.Module, folder: Path) -> nn.Module:
    """A fresh network with the weights that a library would save, and the joins."""
    path = skiplab.save_joins(model, folder)
    assert path == folder / "skiplab_joins.safetensors"
    fresh = network()
    fresh.load_state_dict(model.state_dict(), strict=False)
    return skiplab.load_joins(fresh, folder, X)


CONNECTIONS = ["plain", "rezero", "fading", "layerscale", "deep_delta", Identity]
CONNECTIONS += [functools.partial(Scaled, stream_factor=0.5, update_factor=2.0)]


@pytest.mark.parametrize("connection", CONNECTIONS, ids=str)
@pytest.mark.parametrize("which", [slice(None), slice(1, 3)], ids=["all", "two"])
def test_what_comes_back_is_the_same_bit_for_bit(tmp_path: Path, connection, which: slice) -> None:
    model = ablated(connection, which)
    again = brought_back(model, tmp_path / "new")
    assert torch.equal(again(X), model(X))
    assert again.state_dict().keys() == model.state_dict().keys()
    assert torch.equal(brought_back(again, tmp_path)(X), model(X))  # it can be saved again
    assert torch.equal(skiplab.restore(again)(X), skiplab.restore(model)(X))


def test_a_connection_of_a_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SkiplabError, match=r"known to a function alone, .* give skiplab.ablate an option, a class, or"):
        skiplab.save_joins(ablated(lambda spec: Identity(spec)), tmp_path)
    with pytest.raises(SkiplabError, match=r"no shortcut of this model is replaced; call skiplab.ablate"):
        skiplab.save_joins(network(), tmp_path)
    assert not list(tmp_path.iterdir())


def rewritten(path: Path, **changes) -> None:
    with safe_open(path, framework="pt") as file:
        content = json.loads(file.metadata()["skiplab"])
    save_file(load_file(path), path, metadata={"skiplab": json.dumps(content | changes)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "can't be read: FileNotFoundError"),
        (lambda path: path.write_bytes(b"x"), "can't be read: SafetensorError"),
        (lambda path: save_file(load_file(path), path), "can't be read: TypeError"),
        (lambda path: rewritten(path, joins=[{"path": "0"}]), "can't be read: KeyError"),
        (
            lambda path: rewritten(path, target="os.system"),
            "needs os.system, which is no option of skiplab; give",
        ),
        (lambda path: rewritten(path, target="skiplab.blocks.connections.nothing.No"), "can't be imported"),
        (
            lambda path: rewritten(path, joins=[{"path": "7", "call": 0, "kind": "identity", "width": 4}]),
            "replaces the identity 0 of 7 with 4 channels, and this model has no such shortcut",
        ),
        (
            lambda path: rewritten(path, target="skiplab.blocks.connections.layerscale.LayerScale"),
            "holds other settings than .*LayerScale has: .* argument 'initial_alpha'",
        ),
        (lambda path: save_file({}, path, metadata=_metadata(path)), "holds other parameters than skiplab.blocks"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_and_the_network_stays(tmp_path: Path, damage, message: str) -> None:
    path = skiplab.save_joins(ablated("rezero"), tmp_path)
    damage(path)
    torch.manual_seed(0)
    model = network()
    before = model(X)
    with pytest.raises(SkiplabError, match=message):
        skiplab.load_joins(model, tmp_path, X)
    assert torch.equal(model(X), before)
    assert not any("skiplab" in name for name in model.state_dict())


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata()


def test_a_pretrained_model_of_transformers_comes_back(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=30, n_positions=16)
    torch.manual_seed(0)
    model, inputs = transformers.GPT2LMHeadModel(config).eval(), {"input_ids": torch.arange(12).view(2, 6)}
    skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, inputs).where(kind="identity"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "skiplab_joins" in name:
                parameter.fill_(0.7)
    model.save_pretrained(tmp_path)
    skiplab.save_joins(model, tmp_path)
    again = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    skiplab.load_joins(again, tmp_path, inputs)
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)
