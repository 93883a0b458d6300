"""Connections in the place of a network's own additions."""

import copy
import functools
import importlib
import inspect
import operator
import pickle
import textwrap
import threading
from typing import Any, NamedTuple

import pytest
import torch
from foreign_models import (
    LIBRARIES,
    Checkpointed,
    Gated,
    Residual,
    Wavering,
    by_hand,
    joins,
    joins_in_place,
    points,
    subtracts,
    tensors,
)
from torch import Tensor, nn

import skiplab
from skiplab.blocks.connections.scaled import Scaled
from skiplab.errors import SkiplabError

EVERY = {**LIBRARIES, **{name: functools.partial(lambda name: by_hand()[name], name) for name in by_hand()}}


class Pass(NamedTuple):
    output: Tensor
    gradients: dict[str, Tensor | None]


def run(model: nn.Module, inputs: Any) -> Tensor:
    """The output as a tensor, with the model's own dropout at one seed."""
    torch.manual_seed(0)
    if isinstance(inputs, dict):
        output = model(**inputs)
    else:
        output = model(*inputs) if isinstance(inputs, tuple) else model(inputs)
    return output if isinstance(output, Tensor) else output[0]


def forward_and_back(model: nn.Module, inputs: Any) -> Pass:
    model.zero_grad()
    output = run(model, inputs)
    weights = torch.linspace(-1, 1, output.numel()).view(output.shape)
    (output * weights).sum().backward()
    gradients = {name: None if p.grad is None else p.grad.clone() for name, p in model.named_parameters()}
    return Pass(output.detach().clone(), gradients)


def equal(one: Pass, other: Pass) -> bool:
    """Bit for bit, gradients of parameters that either lacks left out."""
    shared = one.gradients.keys() & other.gradients.keys()
    pairs = [(one.gradients[name], other.gradients[name]) for name in shared]
    assert any(left is not None for left, _ in pairs)
    same = all(left is right is None or torch.equal(left, right) for left, right in pairs)
    return same and torch.equal(one.output, other.output)


def made(name: str) -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model, inputs = EVERY[name]()
    return model.train(), inputs


@pytest.mark.parametrize("name", EVERY)
def test_identity_changes_no_bit(name) -> None:
    model, inputs = made(name)
    keys, before = list(model.state_dict()), forward_and_back(model, inputs)
    found = skiplab.find_shortcuts(model, inputs)
    assert skiplab.ablate(model, "identity", found) is model
    assert equal(forward_and_back(model, inputs), before)
    assert list(model.state_dict()) == keys
    assert equal(forward_and_back(copy.deepcopy(model), inputs), before)
    assert type(skiplab.restore(model)) is type(made(name)[0])
    assert not any("skiplab" in path for path, _ in model.named_modules())
    assert equal(forward_and_back(model, inputs), before)


# Of each network, the functions that have shortcuts, as module and name, and what a hand would change in them.
RESNET = ("diffusers.models.resnet", "ResnetBlock2D.forward")
ATTENTION = ("diffusers.models.attention_processor", "AttnProcessor2_0.__call__")
BLOCK = ("diffusers.models.attention", "BasicTransformerBlock.forward")
AROUND = ("diffusers.models.transformers.transformer_2d", "Transformer2DModel._get_output_for_continuous_inputs")
BERT = "transformers.models.bert.modeling_bert"
GPT2 = ("transformers.models.gpt2.modeling_gpt2", "GPT2Block.forward")
VIT = ("transformers.models.vit.modeling_vit", "ViTLayer.forward")
HERE = "foreign_models"
IN_RESNET = [(RESNET, "(input_tensor + hidden_states)", "hidden_states")]
IN_BLOCK = [(BLOCK, "attn_output + hidden_states", "attn_output"), (BLOCK, "ff_output + hidden_states", "ff_output")]
EDITS = {
    "unet2d": [*IN_RESNET, (ATTENTION, "hidden_states + residual", "hidden_states")],
    "unet2d_condition": [*IN_RESNET, *IN_BLOCK, (AROUND, "hidden_states + residual", "hidden_states")],
    "dit": IN_BLOCK,
    "vit": [(VIT, "hidden_states + residual", "hidden_states")],
    "bert": [((BERT, f"{name}.forward"), "hidden_states + input_tensor", "hidden_states")
             for name in ("BertSelfOutput", "BertOutput")],
    "gpt2": [(GPT2, "attn_output + residual", "attn_output"),
             (GPT2, "residual + feed_forward_hidden_states", "feed_forward_hidden_states")],
    "resnet": [((HERE, "ResBlock.forward"), "out += shortcut", "pass")],
    "in place": [((HERE, "joins_in_place"), "update.add_(x)", "pass")],
    "alpha": [((HERE, "joins_with_alpha"), "torch.add(x, update, alpha=0.5)", "0.5 * update")],
    "scaled after": [((HERE, "joins_and_scales"), "(x + update)", "update")],
    "sequence": [((HERE, "Inside.forward"), "x + super()", "super(Inside, self)")],
    "twice": [((HERE, "joins"), "x + update", "update")],
    "checkpointed whole": [((HERE, "joins"), "x + update", "update")],
}  # fmt: skip


def edit(monkeypatch: pytest.MonkeyPatch, edits) -> None:
    """Put in functions' places what their source says after all edits."""
    sources: dict[tuple[str, str], str] = {}
    for place, old, new in edits:
        module = importlib.import_module(place[0])
        source = sources.get(place) or inspect.getsource(inspect.unwrap(operator.attrgetter(place[1])(module)))
        assert old in source
        sources[place] = source.replace(old, new)
    for (module_name, qualified), source in sources.items():
        module = importlib.import_module(module_name)
        owner, _, name = qualified.rpartition(".")
        names = dict(vars(module))
        exec(textwrap.dedent(source), names)
        monkeypatch.setattr(getattr(module, owner) if owner else module, name, names[name])


@pytest.mark.parametrize("name", EDITS)
def test_plain_equals_a_copy_edited_by_hand(name, monkeypatch) -> None:
    model, inputs = made(name)
    before = run(model, inputs)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, inputs).where(kind=["identity", "projection"]))
    ablated = forward_and_back(model, inputs)
    edit(monkeypatch, EDITS[name])
    edited = forward_and_back(*made(name))
    assert equal(ablated, edited)
    assert not torch.equal(ablated.output, before)


def replaced(connection: Any, make=joins, **chosen: Any) -> tuple[nn.Module, Tensor]:
    model, x = points(Residual, make)
    return skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x).where(**chosen)), x


@pytest.mark.parametrize("make", [joins, joins_in_place])
def test_a_connection_gets_stream_and_update(make) -> None:
    model, x = replaced(functools.partial(Scaled, stream_factor=2.0, update_factor=3.0), make)
    update = model.outer(model.inner(x).tanh())
    torch.testing.assert_close(model(x), 2 * x + 3 * update)


def test_the_channels_of_tokens_and_images_are_found() -> None:
    for name, width in (("vit", 16), ("resnet", 8)):
        model, inputs = made(name)
        skiplab.ablate(model, "layerscale", skiplab.find_shortcuts(model, inputs))
        scales = [parameter for path, parameter in model.named_parameters() if "skiplab_joins" in path]
        assert scales[0].shape == (width,)
        forward_and_back(model, inputs)
        assert all(scale.grad is not None and scale.grad.any() for scale in scales)


def test_parameters_of_connections_are_registered_beside_the_models() -> None:
    model, x = replaced("rezero")
    own = {path for path, _ in points(Residual, joins)[0].named_parameters()}
    assert {path for path, _ in model.named_parameters()} - own == {"skiplab_joins.0.connection.alpha"}
    torch.testing.assert_close(model(x), x)
    model.load_state_dict({**model.state_dict(), "skiplab_joins.0.connection.alpha": torch.tensor(1.0)})
    torch.testing.assert_close(model(x), points(Residual, joins)[0].forward(x), rtol=10, atol=10)
    assert not model.skiplab_joins.eval().training


def test_only_what_is_chosen_is_replaced() -> None:
    model, images = made("resnet")
    found = skiplab.find_shortcuts(model, images)
    skiplab.ablate(model, "plain", found.where(path="blocks.2"))
    assert [hasattr(block, "skiplab_joins") for block in model.blocks] == [False, False, True]


def test_copies_and_pickles_have_connections_of_their_own() -> None:
    model, x = replaced("rezero")
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(other).__name__ == "Residual"
        with torch.no_grad():
            other.skiplab_joins["0"].connection.alpha.fill_(1.0)
        assert not torch.equal(other(x), model(x))
        torch.testing.assert_close(other(x), x + model.outer(model.inner(x).tanh()))


def test_under_autocast_it_is_the_same() -> None:
    model, inputs = made("vit")
    with torch.autocast("cpu", torch.bfloat16):
        before = forward_and_back(model, inputs)
    skiplab.ablate(model, "identity", skiplab.find_shortcuts(model, inputs))
    with torch.autocast("cpu", torch.bfloat16):
        assert equal(forward_and_back(model, inputs), before)


def test_threads_dont_meet() -> None:
    model, x = replaced("plain")
    other, _ = points(Residual, joins)
    expected, other_expected = model(x), other(x)
    results: list[bool] = []

    def work(network: nn.Module, wanted: Tensor) -> None:
        results.extend(torch.equal(network(x), wanted) for _ in range(200))

    threads = [threading.Thread(target=work, args=each) for each in ((model, expected), (other, other_expected)) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 800
    assert all(results)


def test_a_checkpoint_inside_a_module_is_refused() -> None:
    model, x = points(Checkpointed, whole=False)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    with pytest.raises(SkiplabError, match="checkpoint whole modules"):
        model(x)


@pytest.mark.parametrize("name", LIBRARIES)
def test_checkpointed_as_libraries_do_it_is_the_same(name) -> None:
    model, inputs = made(name)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, inputs).where(kind=["identity", "projection"]))
    calls: list[nn.Module] = []
    for module in model.modules():
        module.register_forward_pre_hook(lambda module, _: calls.append(module))
    before, num_calls = forward_and_back(model, inputs), len(calls)
    enable = getattr(model, "activation_checkpointing_enable", None) or model.enable_gradient_checkpointing
    enable()
    assert equal(forward_and_back(model, inputs), before)
    assert len(calls) > 2 * num_calls  # some ran again, for the backward pass


def test_a_forward_put_on_one_module_is_refused() -> None:
    model, x = points(Residual, joins)
    found = skiplab.find_shortcuts(model, x)
    model.forward = model.forward
    with pytest.raises(SkiplabError, match="was replaced on the instance"):
        skiplab.ablate(model, "plain", found)


@pytest.mark.slow
def test_compiled_it_is_the_same() -> None:
    model, x = points(lambda width: nn.Sequential(nn.Linear(width, width), Residual(width, joins)))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    torch.testing.assert_close(torch.compile(model, backend="eager")(x), model(x))
    assert not torch.equal(model(x), model[0](x) + model(x))


def test_what_depends_on_the_input_is_refused_when_it_does() -> None:
    model, x = points(Wavering, joins)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    expected = model(x)
    with pytest.raises(SkiplabError, match=r"adds other tensors in this call .* addition 0 of the model"):
        model(x + 1000)
    assert torch.equal(model(x), expected)


def test_a_call_that_adds_less_is_refused() -> None:
    model, x = points(Wavering, joins)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x + 1000))
    with pytest.raises(SkiplabError, match="adds other tensors in this call"):
        model(x)


class Widening(nn.Module):
    """Takes any number of features."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.weight * x).tanh()


def test_a_batch_may_change_and_a_width_may_not() -> None:
    model = Widening()
    (x, wider) = tensors((4, 6), (4, 7))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    expected = model(x)
    torch.testing.assert_close(model(x[:2]), expected[:2])
    with pytest.raises(SkiplabError, match=r"6 channels, .* has the shape \(4, 7\)"):
        model(wider)
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ("residual", "unknown connection 'residual'"),
        ("hyper_connections", "needs a memory of its own"),
        ("dense", "needs a memory of its own"),
        ("adaln_zero_gate", "needs conditioning"),
    ],
)
def test_a_connection_that_doesnt_fit_changes_nothing(connection, message) -> None:
    model, x = points(Residual, joins)
    before, kind = forward_and_back(model, x), type(model)
    with pytest.raises(SkiplabError, match=message):
        skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x))
    assert type(model) is kind
    assert equal(forward_and_back(model, x), before)


@pytest.mark.parametrize("make", [functools.partial(Residual, meet=subtracts), Gated])
def test_a_model_without_an_addition_changes_nothing(make) -> None:
    model, x = points(make)
    with pytest.raises(SkiplabError, match="has no addition that a connection can replace"):
        skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert type(model).__mro__[0].__module__ == HERE


class Final(Residual):
    def __init_subclass__(cls, *, reason: str) -> None:
        raise TypeError(reason)


def test_a_class_may_refuse_subclasses() -> None:
    model, x = points(Final, joins)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert torch.equal(model(x), model.outer(model.inner(x).tanh()))


def test_shortcuts_of_another_model_are_refused() -> None:
    (model, x), (other, _) = points(Residual, joins), points(Residual, joins)
    with pytest.raises(SkiplabError, match="found in another model"):
        skiplab.ablate(other, "plain", skiplab.find_shortcuts(model, x))


def test_replacing_twice_is_refused() -> None:
    model, x = replaced("plain")
    with pytest.raises(SkiplabError, match=r"skiplab\.restore"):
        skiplab.ablate(model, "identity", skiplab.find_shortcuts(model, x))
