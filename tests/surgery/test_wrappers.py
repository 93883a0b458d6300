"""Networks that are wrapped, exported, offloaded or called in other ways: each works, or is refused in a sentence."""

import copy
import functools
import gc
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from foreign_models import Residual, gpt2, joins, joins_in_place, points, tensors
from test_ablate import equal, forward_and_back
from torch import Tensor, nn
from torch.func import functional_call, grad
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.utils.checkpoint import checkpoint

import skiplab
from forked_ranks import on_two_ranks
from skiplab.errors import SkiplabError

CONNECTIONS = ("identity", "plain", "rezero")


def network(connection: str = "", meet: Any = joins) -> tuple[nn.Module, Tensor]:
    """A layer, then a residual block, with its shortcut replaced if a connection is named."""
    torch.manual_seed(0)
    model, x = points(lambda width: nn.Sequential(nn.Linear(width, width), Residual(width, meet)))
    if connection:
        skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x))
    return model, x


def wanted(connection: str) -> Tensor:
    """What the network gives with another connection, written by hand."""
    model, x = network()
    stream = model[0](x)
    update = model[1].outer(model[1].inner(stream).tanh())
    return {"identity": stream + update, "plain": update, "rezero": stream}[connection]


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, *, x: Tensor, scale: float = 1.0) -> Tensor:
        return x + scale * self.layer(x)


class OfABatch(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"y": batch["x"] + self.layer(batch["x"])}


def test_arguments_may_be_keywords_alone() -> None:
    model, (x,) = Named(), tensors((4, 6))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, {"x": x, "scale": 2.0}))
    assert torch.equal(model(x=x), model.layer(x))


def test_an_argument_may_be_a_dictionary() -> None:
    model, (x,) = OfABatch(), tensors((4, 6))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, ({"x": x},)))
    assert torch.equal(model({"x": x})["y"], model.layer(x))


@pytest.mark.parametrize(
    ("make", "inputs", "message"),
    [
        (Named, lambda x: x, r"1 without names, which Named\.forward doesn't take: .*; its arguments are x, scale:"),
        (
            OfABatch,
            lambda x: {"x": x},
            r"the names x, which OfABatch\.forward doesn't take: .*; its arguments are batch:",
        ),
    ],
)
def test_arguments_that_dont_fit_are_refused(make, inputs, message) -> None:
    with pytest.raises(SkiplabError, match=message):
        skiplab.find_shortcuts(make(), inputs(tensors((4, 6))[0]))


def test_an_error_of_the_networks_own_passes() -> None:
    class Wrong(Named):
        def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return x + None

    with pytest.raises(TypeError, match="unsupported operand"):
        skiplab.find_shortcuts(Wrong(), tensors((4, 6))[0])


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_stays(dtype, connection) -> None:
    model, x = network()
    model, x = model.to(dtype), x.to(dtype)
    before = model(x)
    skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x))
    assert model(x).dtype == dtype
    assert torch.equal(model(x), before) is (connection == "identity")
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_network_without_memory_gets_weights_later(connection) -> None:
    with torch.device("meta"):
        model, x = points(lambda width: nn.Sequential(nn.Linear(width, width), Residual(width, joins)))
    skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x.to("meta")))
    assert all(parameter.is_meta for parameter in model.parameters())
    real, x = network(connection)
    model.load_state_dict(real.state_dict(), assign=True)
    assert torch.equal(model(x), real(x))


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_gradient_checkpointing_changes_no_bit(connection, reentrant) -> None:
    model, x = network(connection)
    expected = forward_and_back(model, x)

    class Again(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = model

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.second, self.first(x), use_reentrant=reentrant)

    names = {"first": "0", "second": "1"}
    output, gradients = forward_and_back(Again(), x)
    renamed = {".".join([names[name.split(".")[0]], *name.split(".")[1:]]): each for name, each in gradients.items()}
    assert equal(expected, type(expected)(output, renamed))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("connection", ["identity", "plain", "layerscale"])
def test_generation_with_a_cache_is_that_without(connection) -> None:
    torch.manual_seed(0)
    model, inputs = gpt2()
    model.eval()
    settings = {"max_new_tokens": 5, "do_sample": False, "attention_mask": torch.ones_like(inputs["input_ids"])}
    before = model.generate(**inputs, **settings)
    skiplab.ablate(model, connection, skiplab.find_shortcuts(model, inputs))
    cached, plain = (model.generate(**inputs, **settings, use_cache=each) for each in (True, False))
    assert torch.equal(cached, plain)
    if connection == "identity":
        assert torch.equal(cached, before)


class OwnLayers(nn.ModuleList):
    """Calls all that it holds."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = x + layer(x)
        return x


def replica(model: nn.Module) -> nn.Module:
    """A copy as DataParallel makes one for each device."""
    made = model._replicate_for_data_parallel()
    made._parameters.update(model._parameters)
    for name, child in made._modules.items():
        made._modules[name] = replica(child)
    return made


@pytest.mark.parametrize("meet", [joins, joins_in_place])
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_data_parallel_replicas_join_as_the_network(connection, meet) -> None:
    model, x = network(connection, meet)
    assert torch.equal(DataParallel(model)(x), wanted(connection))
    assert torch.equal(replica(model)(x), wanted(connection))


def test_joins_are_no_layers_of_a_replica() -> None:
    model, (x,) = OwnLayers([nn.Linear(6, 6), nn.Linear(6, 6)]), tensors((4, 6))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert torch.equal(replica(model)(x), model(x))


def test_a_wrapper_may_be_looked_through() -> None:
    model, x = network()
    wrapped = DataParallel(model)
    found = skiplab.find_shortcuts(wrapped, x)
    assert [each.path for each in found] == ["module.1"]
    skiplab.ablate(wrapped, "plain", found)
    assert torch.equal(wrapped(x), wanted("plain"))


def _gradients(rank: int, connection: str) -> dict[str, list]:
    model, x = network(connection)
    distributed = DistributedDataParallel(model)
    distributed(x[2 * rank : 2 * rank + 2]).square().mean().backward()
    return {name: p.grad.tolist() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_ranks_average_the_gradients_of_joins_too(connection, tmp_path: Path) -> None:
    found = on_two_ranks(_gradients, connection, folder=tmp_path)
    model, x = network(connection)
    model(x).square().mean().backward()
    alone = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert found[0] == found[1]
    assert found[0].keys() == alone.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(torch.tensor(found[0][name]), gradient)


@pytest.fixture
def one_rank(tmp_path: Path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()
    gc.collect()  # what the group leaves, else a process that a later test forks may abort


@pytest.mark.usefixtures("one_rank")
def test_parameters_that_ddp_wouldnt_average_are_refused() -> None:
    model, x = network()
    wrapped = DistributedDataParallel(model)
    found = skiplab.find_shortcuts(wrapped, x)
    with pytest.raises(SkiplabError, match="doesn't average the gradients of parameters that come later, and ReZero"):
        skiplab.ablate(wrapped, "rezero", found)
    skiplab.ablate(wrapped, "plain", found)
    assert torch.equal(wrapped(x), wanted("plain"))


@pytest.mark.parametrize("meet", [joins, joins_in_place])
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_what_torch_export_makes_is_the_same(connection, meet) -> None:
    model, x = network(connection, meet)
    exported = torch.export.export(model.eval(), (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    assert torch.equal(exported.module()(x), wanted(connection))
    assert torch.equal(exported.module()(x[:3]), model(x[:3]))


def test_an_exported_network_is_refused_at_the_start() -> None:
    model, x = network()
    with pytest.raises(SkiplabError, match=r"has its mode fixed, as torch\.export does; find and replace"):
        skiplab.find_shortcuts(torch.export.export(model, (x,)).module(), x)


@pytest.mark.parametrize("meet", [joins, joins_in_place])
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_compiled_it_is_the_same(connection, meet) -> None:
    torch.compiler.reset()
    model, x = network(connection, meet)
    assert torch.equal(torch.compile(model, backend="eager")(x), wanted(connection))
    model.compile(backend="eager")
    assert torch.equal(model(x), wanted(connection))


def test_one_graph_of_all_is_refused_by_torch() -> None:
    torch.compiler.reset()
    model, x = network("plain")
    with pytest.raises(torch._dynamo.exc.Unsupported, match="JoinedModule"):
        torch.compile(model, backend="eager", fullgraph=True)(x)


@pytest.mark.filterwarnings("ignore")
def test_scripts_are_refused_and_traces_are_the_same() -> None:
    model, x = network("rezero")
    assert torch.equal(torch.jit.trace(model, x)(x), model(x))
    with pytest.raises(SkiplabError, match=r"torch\.jit\.script can't read a module whose shortcuts are replaced"):
        torch.jit.script(model)


class Scripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layer(x)


@pytest.mark.filterwarnings("ignore")
def test_additions_inside_a_script_are_listed() -> None:
    block, x = network()
    model = nn.Sequential(torch.jit.script(Scripted()), block)
    found = skiplab.find_shortcuts(model, x)
    assert [each.operation for each in found] == ["hidden addition", "addition"]
    assert not found[0].is_replaceable


def test_a_network_without_shapes_is_refused() -> None:
    with pytest.raises(SkiplabError, match=r"0\.weight has no shape yet; run the model once"):
        skiplab.find_shortcuts(nn.Sequential(nn.LazyLinear(6)), tensors((4, 6))[0])


@pytest.mark.parametrize("connection", ["plain", "rezero"])
def test_functions_of_parameters_have_gradients(connection) -> None:
    model, x = network(connection)
    expected = forward_and_back(model, x).gradients
    weights = torch.linspace(-1, 1, x.numel()).view(x.shape)
    parameters = dict(model.named_parameters())
    gradients = grad(lambda own: (functional_call(model, own, (x,)) * weights).sum())(parameters)
    assert all(torch.equal(gradients[name], own) for name, own in expected.items() if own is not None)


def hooked(module: nn.Module) -> list[str]:
    """Wraps the forward of a module as the hooks of Accelerate do; returns what the hook will see."""
    seen: list[str] = []
    module._old_forward = module.forward

    def forward(self: nn.Module, *args: Any) -> Any:
        seen.append(type(self).__name__)
        return self._old_forward(*args)

    module.forward = functools.update_wrapper(functools.partial(forward, module), module._old_forward)
    return seen


@pytest.mark.parametrize("meet", [joins, joins_in_place])
@pytest.mark.parametrize("connection", CONNECTIONS)
def test_hooks_of_accelerate_run_around_the_joins(connection, meet) -> None:
    model, x = network(meet=meet)
    before, seen = model(x), hooked(model[1])
    skiplab.ablate(model, connection, skiplab.find_shortcuts(model, x))
    seen.clear()
    assert torch.equal(model(x), wanted(connection))
    assert seen == ["Residual"]
    assert torch.equal(skiplab.restore(model)(x), before)
    assert seen == ["Residual"] * 2
    assert isinstance(model[1]._old_forward, types.MethodType)


def test_a_join_is_where_its_sum_is_while_weights_are_offloaded() -> None:
    model, x = network()
    own = OrderedDict(model.state_dict())
    block = model[1].to("meta")

    def load(module: nn.Module, _: Any) -> None:
        module.load_state_dict(
            {n.partition(".")[2]: v for n, v in own.items() if n[0] == "1"}, assign=True, strict=False
        )

    def offload(module: nn.Module, *_: Any) -> None:
        for each in (module.inner, module.outer):
            each.to("meta")

    block.register_forward_pre_hook(load)
    block.register_forward_hook(offload)
    skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, x))
    assert torch.equal(model(x), wanted("rezero"))


def test_joins_without_memory_are_refused_where_the_network_has_some() -> None:
    model, x = network("rezero")
    copied = copy.deepcopy(model)
    copied[1].skiplab_joins.to("meta")
    with pytest.raises(SkiplabError, match=r"ReZero are offloaded, .* preload_module_classes=\['ForeignJoin'\]"):
        copied(x)
