"""Architectures of libraries against the shortcuts that were written by hand; see zoo.yaml."""

from typing import Any

import pytest
import torch
from test_ablate import equal
from torch import Tensor, nn
from zoo import Architecture, architectures, found

import skiplab

pytest.importorskip("transformers")
pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning:diffusers", "ignore:Sparse :UserWarning")
_FAST = (
    "gpt2 bert cohere mobilebert fnet t5 swin resnet timesformer hiera convnextv2 AutoencoderDC SD3Transformer2DModel"
)  # fmt: skip
ALL = architectures()
FAST, OTHERS = ([each for each in ALL if (each.name in _FAST.split()) is fast] for fast in (True, False))


def pass_through(model: nn.Module, inputs: dict[str, Tensor]) -> Any:
    from test_ablate import Pass

    model.zero_grad()
    torch.manual_seed(0)
    outputs = model(**inputs)
    if isinstance(outputs, Tensor):
        outputs = [outputs]
    outputs = outputs if isinstance(outputs, list | tuple) else outputs.values()
    last = (each[-1] if isinstance(each, list | tuple) else each for each in outputs)
    output = next(each for each in last if each.requires_grad)
    output.square().mean().backward()
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    return Pass(output.detach().clone(), gradients)


def check(architecture: Architecture) -> None:
    """The shortcuts that were written by hand; identity and restore change no bit; rezero can learn."""
    pytest.importorskip(architecture.library)
    model, inputs = architecture.build(), architecture.example()
    assert found(model, inputs) == architecture.joins
    shortcuts = skiplab.find_shortcuts(model, inputs)
    replaceable = [each.kind for each in shortcuts if each.is_replaceable]
    if not replaceable:
        return
    if set(replaceable) == {"uncertain"}:
        shortcuts = shortcuts.where(kind="uncertain")
    sizes = [inputs, architecture.example(batch=3, length=5)]
    before = [pass_through(model, each) for each in sizes]
    skiplab.ablate(model, "identity", shortcuts)
    assert all(equal(pass_through(model, each), one) for each, one in zip(sizes, before, strict=True))
    skiplab.ablate(skiplab.restore(model), "plain", shortcuts)
    assert not torch.equal(pass_through(model, inputs).output, before[0].output)
    skiplab.ablate(skiplab.restore(model), "rezero", shortcuts)
    gradients = pass_through(model, inputs).gradients
    assert any(g is not None and g.any() for name, g in gradients.items() if name.endswith("alpha"))
    assert equal(pass_through(skiplab.restore(model), inputs), before[0])


@pytest.mark.parametrize(
    "architecture", [each for each in ALL if each.name in _FAST.split()], ids=lambda each: each.name
)
def test_an_architecture(architecture) -> None:
    check(architecture)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", [each for each in ALL if each.name not in _FAST.split()], ids=lambda each: each.name
)
def test_the_other_architectures(architecture) -> None:
    check(architecture)
