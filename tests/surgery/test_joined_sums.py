"""What takes an addition's place has the shape, the type and the layout of the sum."""

import copy
import importlib
import math
import operator
import pickle

import pytest
import torch
from foreign_models import tensors
from test_ablate import equal, forward_and_back
from torch import Tensor, nn

import skiplab
from skiplab.errors import SkiplabError
from skiplab.surgery.foreign_join import ForeignJoin
from skiplab.surgery.rewritten_module import RewrittenModule

W = 6


class Net(nn.Module):
    def __init__(self, call) -> None:
        super().__init__()
        self.a, self.b, self.l, self.n = nn.Linear(W, W), nn.Linear(W, W), nn.Linear(W, W), nn.LayerNorm(W)
        self.wide, self.point, self.gate = nn.Conv2d(1, 4, 1), nn.Conv2d(W, W, 1), nn.Parameter(torch.rand(1))
        self.call = call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self, x)


def three_terms(net, x):
    h = net.n(x)
    return x + net.a(h).relu() + net.b(net.l(h).relu())


def three_terms_in_place(net, x):
    h, r = net.n(x), x.clone()
    r += net.a(h).relu()
    r += net.b(net.l(h).relu())
    return r


def relu_after(net, x):
    return (x + net.l(x).relu()).relu_()


def other_layout(net, x):
    x = x.transpose(1, 3)
    return net.point(x + net.gate * net.point(x))


def in_place_on_a_permuted(net, x):
    x = net.l(x)
    r = net.gate * net.point(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    r += x
    return r


def wider(net, x):
    return net.wide(x) + x


def pooled(net, x):
    return x + net.point(x.mean((2, 3), keepdim=True))


CALLS = {
    "three terms": (three_terms, (4, 5, W)),
    "three terms in place": (three_terms_in_place, (4, 5, W)),
    "in place after": (relu_after, (4, W)),
    "other layout": (other_layout, (2, 5, 4, W)),
    "in place, permuted": (in_place_on_a_permuted, (2, 5, 4, W)),
    "broadcast stream": (wider, (2, 1, 3, 3)),
    "broadcast update": (pooled, (2, W, 3, 3)),
    "one vector": (lambda net, x: x + net.l(x).relu(), (W,)),
    "alpha and three": (lambda net, x: torch.add(x, net.a(x).relu(), alpha=2) + net.b(x).relu(), (4, W)),
}


def made(name: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    call, shape = CALLS[name]
    return Net(call), tensors(shape)[0]


@pytest.mark.parametrize("watched", [False, True], ids=["alone", "watched"])
@pytest.mark.parametrize("name", CALLS)
def test_identity_changes_no_bit(name, watched) -> None:
    model, x = made(name)
    doubled = torch.cat([x, x]) if x.ndim > 1 else x
    before, of_doubled = forward_and_back(model, x), model(doubled)
    skiplab.ablate(model, "identity", skiplab.find_shortcuts(model, x))
    joins = [module for module in model.modules() if type(module).__name__ == "ForeignJoin"]
    assert len(joins) == 1
    seen: list[Tensor] = []
    if watched:
        joins[0].register_forward_hook(lambda _, __, joined: seen.append(joined))
    after = forward_and_back(model, x)
    assert equal(after, before)
    assert len(seen) == watched
    # not that of x twice: a product of more rows may be added up in another order
    assert torch.equal(model(doubled), of_doubled)


PLAIN = {
    "three terms": lambda net, x: net.a(net.n(x)).relu() + net.b(net.l(net.n(x)).relu()),
    "three terms in place": lambda net, x: net.a(net.n(x)).relu() + net.b(net.l(net.n(x)).relu()),
    "in place after": lambda net, x: net.l(x).relu(),
    "other layout": lambda net, x: net.point(net.gate * net.point(x.transpose(1, 3))),
    "in place, permuted": lambda net, x: net.gate * net.point(net.l(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1),
    "broadcast stream": lambda net, x: net.wide(x),
    "broadcast update": lambda net, x: net.point(x.mean((2, 3), keepdim=True)).expand(x.shape),
    "one vector": lambda net, x: net.l(x).relu(),
    "alpha and three": lambda net, x: 2 * net.a(x).relu() + net.b(x).relu(),
}


@pytest.mark.parametrize("name", CALLS)
def test_plain_equals_the_code_edited_by_hand(name) -> None:
    model, x = made(name)
    sum_of_terms = model(x)
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    ablated = forward_and_back(model, x)
    torch.manual_seed(0)
    edited = forward_and_back(Net(PLAIN[name]), x)  # of the same seed
    torch.testing.assert_close(ablated.output, edited.output)
    for path, gradient in edited.gradients.items():
        if gradient is not None:
            torch.testing.assert_close(ablated.gradients[path], gradient)
    assert ablated.output.shape == sum_of_terms.shape
    assert model(x).stride() == sum_of_terms.stride()


@pytest.mark.parametrize("name", CALLS)
def test_a_zero_scale_leaves_the_stream(name) -> None:
    model, x = made(name)
    skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, x))
    forward_and_back(model, x)
    (alpha,) = [parameter for path, parameter in model.named_parameters() if path.endswith("alpha")]
    assert alpha.grad is not None
    with torch.no_grad():
        alpha.fill_(1.0)
    torch.testing.assert_close(model(x), made(name)[0](x))


def test_the_type_is_that_of_the_sum() -> None:
    model = Net(lambda net, x: x + net.l(x.bfloat16()).relu())
    model.l.bfloat16()
    (x,) = tensors((4, W))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert model(x).dtype == torch.float32


def test_layerscale_scales_the_channels() -> None:
    model = Net(lambda net, x: x + net.l(net.a(x.permute(0, 2, 3, 1)).relu()).permute(0, 3, 1, 2))
    (x,) = tensors((2, W, W, W))
    skiplab.ablate(model, "layerscale", skiplab.find_shortcuts(model, x))
    (scale,) = [parameter for path, parameter in model.named_parameters() if "skiplab_joins" in path]
    with torch.no_grad():
        scale.copy_(torch.arange(W))
    update = model.l(model.a(x.permute(0, 2, 3, 1)).relu()).permute(0, 3, 1, 2)
    torch.testing.assert_close(model(x), x + torch.arange(W)[:, None, None] * update)
    assert model(x[:, :, :3, :4]).shape == (2, W, 3, 4)  # any size


class OwnLayers(nn.ModuleList):
    def forward(self, x: Tensor) -> Tensor:
        for layer in self:
            x = x + layer(x)
        return x


class OwnChildren(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = x + layer(x)
        assert len(self) == 2
        return x + self[-1](x)


@pytest.mark.parametrize("make", [OwnLayers, OwnChildren])
def test_joins_are_no_layers(make) -> None:
    model, (x,) = (
        make([nn.Linear(W, W), nn.Linear(W, W)]) if make is OwnLayers else make(nn.Linear(W, W), nn.Linear(W, W)),
        tensors((4, W)),
    )
    before = forward_and_back(model, x)
    skiplab.ablate(model, "identity", skiplab.find_shortcuts(model, x))
    assert equal(forward_and_back(model, x), before)
    assert any("skiplab_joins" in path for path, _ in model.named_modules())
    assert equal(forward_and_back(skiplab.restore(model), x), before)


class OfLayers(nn.Module):
    """Counts, calls and slices the layers of a sequence that is a block, too."""

    def __init__(self) -> None:
        super().__init__()
        self.block = OwnChildren(nn.Linear(W, W), nn.Linear(W, W))

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x) / len(self.block) * self.block[-1](x) + self.block[:2](x)
        for layer in self.block:
            x = layer(x)
        return x


def test_joins_are_no_layers_for_the_module_around() -> None:
    model, (x,) = OfLayers(), tensors((4, W))
    before = forward_and_back(model, x)
    skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, x).where(path="block"))
    assert {each.block_index for each in model.modules() if isinstance(each, ForeignJoin)} == {0, 1, 2}
    alphas = {path: alpha for path, alpha in model.named_parameters() if path.endswith("alpha")}
    assert alphas.keys() <= model.state_dict().keys()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert {name for name, _ in other.named_parameters()} == {name for name, _ in model.named_parameters()}
    model.double().eval()
    assert all(alpha.dtype == torch.float64 for alpha in alphas.values())
    assert not any(module.training for module in model.modules())
    model.float().train()
    for alpha in alphas.values():
        alpha.data.fill_(1.0)
    torch.testing.assert_close(forward_and_back(model, x).output, before.output)


@pytest.mark.parametrize(
    "call",
    [lambda net, x: operator.add(x, net.l(x)), lambda net, x: sum([x, net.l(x), net.a(x)])],
    ids=["operator", "sum"],
)
def test_python_may_run_a_call_in_another_way_after_a_while(call) -> None:
    model, (x,) = Net(call), tensors((4, W))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    first = model(x)
    assert all(torch.equal(model(x), first) for _ in range(50))


def test_int8_weights_dont_matter() -> None:
    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randint(-9, 9, (W, W), dtype=torch.int8))
            self.weight_too = nn.Parameter(torch.ones(W, W, dtype=torch.int8), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return x + (x @ self.weight.float()).relu()

    model, (x,) = Quantized(), tensors((4, W))
    skiplab.ablate(model, "rezero", skiplab.find_shortcuts(model, x))
    assert torch.equal(model(x), x)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
def test_an_encoder_of_torch_works_with_a_mask_in_evaluation() -> None:
    layer = nn.TransformerEncoderLayer(W, 2, 8, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    (x,) = tensors((2, 5, W))
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():
        before = model(x, src_key_padding_mask=mask)
        found = skiplab.find_shortcuts(model, {"src": x, "src_key_padding_mask": mask})
        assert [each.kind for each in found] == ["identity"] * 4
        skiplab.ablate(model, "identity", found)
        after = model(x, src_key_padding_mask=mask)
        torch.testing.assert_close(after[~mask], before[~mask])
        skiplab.restore(model)
        assert torch.equal(model(x, src_key_padding_mask=mask), before)


def test_a_compiled_model_is_refused_at_the_start() -> None:
    model = torch.compile(Net(relu_after), backend="eager")
    with pytest.raises(SkiplabError, match=r"is compiled by torch\.compile; find and replace"):
        skiplab.find_shortcuts(model, tensors((4, W))[0])


@pytest.mark.parametrize("inputs", ["a text", {"x": 3}, ()])
def test_inputs_without_a_tensor_are_refused(inputs) -> None:
    with pytest.raises(SkiplabError, match="holds no tensor; give the arguments"):
        skiplab.find_shortcuts(Net(relu_after), inputs)


def test_copies_and_pickles_keep_the_rewritten_code() -> None:
    model, x = made("in place after")
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))
    layer = nn.TransformerEncoderLayer(W, 2, 8, dropout=0.0, batch_first=True)
    (tokens,) = tensors((2, 5, W))
    skiplab.ablate(layer, "plain", skiplab.find_shortcuts(layer, tokens))
    assert torch.equal(pickle.loads(pickle.dumps(layer))(tokens), layer(tokens))


class UsesAnImport(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(W, W)

    def forward(self, x: Tensor) -> Tensor:
        return x + math.sqrt(2) * self.layer(x)


def test_code_that_is_compiled_in_another_way_with_its_file_is_rewritten() -> None:
    model, (x,) = UsesAnImport(), tensors((4, W))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert isinstance(model, RewrittenModule)
    assert torch.equal(model(x), math.sqrt(2) * model.layer(x))


SOURCE = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x):
        update = self.layer(x)
        return x + update
"""


@pytest.mark.parametrize(
    "edit", [("update =", "update = 7 *"), ("    def __init__", "    def other(self): 7\n\n\n\n\n    def __init__")]
)
def test_code_runs_as_it_was_imported(edit, tmp_path, monkeypatch) -> None:
    file = tmp_path / f"edited_to_{len(edit[1])}.py"
    file.write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    model, (x,) = importlib.import_module(file.stem).Block(), tensors((4, W))
    file.write_text(SOURCE.replace(*edit))
    skiplab.ablate(model, "plain", skiplab.find_shortcuts(model, x))
    assert torch.equal(model(x), model.layer(x))


def test_shortcuts_are_chosen_by_call_by_exclusion_and_by_property() -> None:
    layer = nn.TransformerEncoderLayer(W, 2, 8, batch_first=True)
    found = skiplab.find_shortcuts(layer, tensors((2, 5, W))[0])
    assert [each.call for each in found] == [0, 1]
    assert list(found.where(call=1)) == list(found[1:]) == list(found.without(found.where(call=0)))
    assert list(found.where(matching=lambda each: "self_attn" in each.branch)) == [found[0]]
    skiplab.ablate(layer, "plain", found[:1])
    with pytest.raises(SkiplabError, match="the property that is asked for"):
        found.where(matching=lambda each: False)


def test_uncertain_additions_are_left_alone_unless_chosen() -> None:
    def used_again(net, x):
        update = net.l(x).relu()
        return (x + update) * net.b(update).sigmoid()

    model, (x,) = Net(used_again), tensors((4, W))
    found = skiplab.find_shortcuts(model, x)
    assert [each.kind for each in found] == ["uncertain"]
    with pytest.raises(SkiplabError, match="no addition that a connection can replace"):
        skiplab.ablate(model, "plain", found)
    skiplab.ablate(model, "plain", found.where(kind="uncertain"))


def test_a_drawing_has_a_row_for_each() -> None:
    layer = nn.TransformerEncoderLayer(W, 2, 8, batch_first=True)
    found = skiplab.find_shortcuts(layer, tensors((2, 5, W))[0])
    drawn = found._repr_html_()
    assert drawn.startswith("<svg")
    assert drawn.count("<title>") == 2
    assert "self_attn" in drawn
