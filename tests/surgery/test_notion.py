"""Reduced networks, each with one addition that is easily misread; the right reading is written beside it."""

from collections import UserDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from foreign_models import tensors
from torch import Tensor, nn
from torch.nn import functional as F

from skiplab import find_shortcuts

W = 8
IDENTITY, PROJECTION, CONDITIONING, LONG, UNCERTAIN = "identity", "projection", "conditioning", "long skip", "uncertain"


class Net(nn.Module):
    """Some layers, and a forward that is written as a function of them and the inputs."""

    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.a, self.b, self.l, self.o = (nn.Linear(W, W) for _ in range(4))
        self.q, self.k, self.v = (nn.Linear(W, W) for _ in range(3))
        self.n, self.m = nn.LayerNorm(W), nn.LayerNorm(W)
        self.w, self.p = nn.Embedding(20, W), nn.Embedding(20, W)
        self.low, self.high = nn.Linear(W, 2, bias=False), nn.Linear(2, W, bias=False)
        self.conv, self.last = nn.Conv2d(W, W, 3, padding=1), nn.Conv2d(W, W, 3, padding=1)
        self.point, self.down = nn.Conv2d(W, W, 1), nn.Conv2d(W, W, 3, 2, 1)
        self.up = nn.ConvTranspose2d(W, W, 2, 2)
        self.gru = nn.GRUCell(W, W)
        self.decay, self.queries = nn.Parameter(torch.rand(W)), nn.Parameter(torch.randn(1, 4, W))
        self.call = call

    def forward(self, *inputs: Tensor) -> Any:
        return self.call(self, *inputs)


class Mlp(nn.Module):
    """A residual block, with a shortcut of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(W, W), nn.Linear(W, W)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.two(self.one(x).relu())


def attention(net: Net, x: Tensor, y: Tensor) -> Tensor:
    return net.o(F.scaled_dot_product_attention(net.q(x), net.k(y), net.v(y)))


def found(call: Callable[..., Any], *inputs: Any, kinds: bool = True, **options: Any) -> Any:
    torch.manual_seed(0)
    shortcuts = find_shortcuts(Net(call), inputs, **options)
    return [each.kind for each in shortcuts] if kinds else shortcuts


TOKENS, OTHERS = tensors((2, 6, W), (2, 5, W))
IMAGES = tensors((2, W, 4, 4))[0]
IDS = torch.arange(12).view(2, 6)


def heads(net: Net, x: Tensor) -> Tensor:
    b, h, w, c = x.shape
    q, k, v = (layer(x).view(b, h * w, 2, c // 2).transpose(1, 2) for layer in (net.q, net.k, net.v))
    return x + net.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, h, w, c))


def windows(net: Net, x: Tensor) -> Tensor:
    b, h, w, c = x.shape
    parts = net.n(x).view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
    back = attention(net, parts, parts).view(b, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5)
    return x + back.reshape(b, h, w, c)


def nested(net: Net, x: Tensor) -> Tensor:
    x = x + net.a(x).relu()
    inner = net.n(x)
    return x + (inner + net.b(net.l(inner).relu()))


def in_order(net: Net, x: Tensor) -> Tensor:
    h = net.n(x)
    return x + net.a(h).relu() + net.o(net.b(h).relu())


def siblings_first(net: Net, x: Tensor) -> Tensor:
    h = net.n(x)
    return net.a(h).relu() + net.o(net.b(h).relu()) + x


def adapted(net: Net, x: Tensor) -> Tensor:
    return net.l(x) + 0.5 * net.high(net.low(x))


def cross_attention(net: Net, source: Tensor, target: Tensor) -> Tensor:
    memory, y = net.a(source).relu(), net.b(target).relu()
    return y + attention(net, y, memory)


def masked(net: Net, mask: Tensor, ids: Tensor) -> Tensor:
    x = net.w(ids)
    return x + attention(net, x, x) * mask[..., None]


def from_queries(net: Net, memory: Tensor) -> Tensor:
    y = net.queries.expand(2, -1, -1)
    y = y + attention(net, y, memory)
    return y + net.b(net.a(y).relu())


def from_queries_alone(net: Net, memory: Tensor) -> Tensor:
    y = net.queries + attention(net, net.queries, net.queries)
    return y + attention(net, y, memory[:1])


def with_positions_again(net: Net, x: Tensor, mask: Tensor) -> Tensor:
    positions = mask.cumsum(1)[..., None] / torch.arange(1, W + 1)
    for _ in range(2):
        at = x + positions
        x = x + net.o(F.scaled_dot_product_attention(net.q(at), net.k(at), net.v(x)))
    return x


def recurrent(net: Net, x: Tensor) -> Tensor:
    u, h = net.l(x), torch.zeros(2, W)
    for t in range(x.shape[1]):
        h = net.decay * h + u[:, t]
    return h


def recurrent_with_weights(net: Net, x: Tensor) -> Tensor:
    x = net.n(x)
    u, h = net.l(x), torch.zeros(2, W)
    for step in u.unbind(1):
        h = (net.a(h) + step).tanh()
    return h


def recurrent_with_gates(net: Net, x: Tensor) -> Tensor:
    h = c = torch.zeros(2, W)
    for t in range(x.shape[1]):
        i, f = net.a(x[:, t]) + net.b(h), net.q(x[:, t]) + net.k(h)
        c = f.sigmoid() * c + i.sigmoid() * net.l(x[:, t]).tanh()
        h = c.tanh()
    return h


def linear_attention(net: Net, x: Tensor) -> Tensor:
    x, state, out = net.n(x), torch.zeros(2, W, W), []
    q, k, v = net.q(x), net.k(x), net.v(x)
    for t in range(x.shape[1]):
        state = 0.9 * state + k[:, t, :, None] @ v[:, t, None, :]
        out.append(q[:, t, None, :] @ state)
    return torch.cat(out, 1)


def embeddings(net: Net, ids: Tensor) -> Tensor:
    return net.w(ids) + net.p(ids.ne(1).int().cumsum(1))


def scores(net: Net, x: Tensor) -> Tensor:
    mask = (x.sum(-1) > 0).float()[:, None] * -9.0
    return ((net.q(x) @ net.k(x).mT + mask).softmax(-1)) @ net.v(x)


def relative(net: Net, x: Tensor) -> Tensor:
    content, position = net.q(x) @ net.k(x).mT, net.q(x) @ net.b(net.a(x).relu()).mT
    return (content / 2 + position).softmax(-1) @ net.v(x)


def beside_a_token(net: Net, x: Tensor) -> Tensor:
    token, rest = x[:, :1], x[:, 1:]
    rest = rest + net.l(net.a(rest).relu())
    both = torch.cat([token, rest], 1)
    return both + torch.cat([attention(net, both, both)[:, :1], net.b(rest).relu()], 1)


def nearest_of_a_codebook(net: Net, x: Tensor) -> Tensor:
    codes = net.l.weight
    x = net.a(x)
    return x.pow(2).sum(-1, keepdim=True) - 2 * x @ codes.T + codes.pow(2).sum(1)


def rotary(net: Net, x: Tensor) -> Tensor:
    q = net.q(x)
    turned = torch.cat([-q[..., W // 2 :], q[..., : W // 2]], -1)
    angle = torch.arange(6.0)[:, None]
    return q * angle.cos() + turned * angle.sin()


def expanded_parameter(net: Net, x: Tensor) -> Tensor:
    return x + net.decay.expand_as(x) + net.l(torch.zeros_like(x)) + net.decay.type_as(net.a(x))


def straight_through(net: Net, x: Tensor) -> Tensor:
    x = net.l(x)
    return x + (net.a(x).round() - x).detach()


def coupling(net: Net, x: Tensor) -> Tensor:
    first, second = net.l(x).chunk(2, -1)
    return first + net.b(F.pad(second, (0, W // 2)))[..., : W // 2]


def bridge(net: Net, x: Tensor) -> Tensor:
    x = net.conv(x)
    return net.last(x + net.up(net.down(x).relu()))


def pyramid(net: Net, x: Tensor) -> Tensor:
    x = net.conv(x)
    return net.point(x) + F.interpolate(net.last(net.down(x).relu()), scale_factor=2.0)


def pyramid_with_activations(net: Net, x: Tensor) -> Tensor:
    x = net.conv(x)
    return net.point(x).relu() + F.interpolate(net.last(net.down(x).relu()).relu(), scale_factor=2.0)


def flow(net: Net, x: Tensor) -> Tensor:
    first, second = net.l(x).chunk(2, -1)
    return torch.cat([first, second + net.b(F.pad(first, (0, W // 2)))[..., : W // 2]], -1)


def scan(net: Net, x: Tensor) -> Tensor:
    x = net.l(x).relu()
    turned = x.mT
    weights = net.q(x) @ net.k(x).mT
    return (weights @ turned.mT) + turned.mT * net.decay


def difference_beside_a_scale(net: Net, x: Tensor) -> Tensor:
    return (x.expm1() - x) * net.decay + 0.5 * x


def scan_with_weights_of_its_siblings(net: Net, x: Tensor) -> Tensor:
    u = net.l(x).relu()
    return net.q(x) @ net.k(x).mT @ u + u * net.decay


def mixed_with_the_last(net: Net, x: Tensor) -> Tensor:
    x = net.n(x)
    return net.l(x * net.decay + F.pad(x, (0, 0, 1, -1)) * (1 - net.decay))


def raised(net: Net, x: Tensor) -> Tensor:
    x = net.conv(x)
    larger = F.interpolate(x, scale_factor=2.0)
    return net.point(larger) + net.last(net.up(x).relu())


def embedded_each_time(net: Net, x: Tensor, told: Tensor) -> Tensor:
    told = net.o(told[:, :1].relu())
    for layer in (net.a, net.b, net.q):
        x = (layer(x) + told).relu()
    return x


def gated(net: Net, x: Tensor) -> Tensor:
    return x + torch.sigmoid(net.q(x)) * net.b(net.a(x).relu())


def passed(way: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor] = lambda u: u) -> Callable[..., Tensor]:
    return lambda net, x: way(x) + back(net.l(net.a(x).relu()))


def with_a_magnitude(net: Net, x: Tensor) -> Tensor:
    y = net.l(x)
    scale = net.decay / net.l.weight.norm(dim=1)
    return y + ((scale - 1) * (y - net.l.bias) + scale * net.high(net.low(x)))


def scores_and_those_before(net: Net, x: Tensor) -> Tensor:
    before = net.q(x) @ net.k(x).mT
    x = net.n(net.l(before.softmax(-1) @ net.v(x)).relu())
    after = net.q(x) @ net.k(x).mT + before
    kept.append(after.clone())
    after = after + net.l.weight[:6, :6]
    return after.softmax(-1) @ net.v(x)


kept: list[Tensor] = []


def of_neighbors(x: Tensor) -> Tensor:
    places = torch.tensor([1, 2, 3, 4, 5, 0])[:, None].expand_as(x)
    return torch.zeros_like(x).scatter_add_(0, places, x.index_select(0, torch.arange(6)))


def a_projection_beside_its_input(net: Net, x: Tensor) -> Tensor:
    x = net.conv(x)
    return torch.cat([x, net.point(x) + net.last(net.conv(x).relu())], 1)


def by_a_sparse_matrix(net: Net, x: Tensor) -> Tensor:
    matrix = torch.eye(6).to_sparse()
    return x[0] + net.l((matrix @ matrix) @ x[0]).relu()


def gated_by_both(mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def call(net: Net, x: Tensor) -> Tensor:
        update = net.l(net.a(x).relu())
        return mix(x, update, net.q(torch.cat([x, update], -1)[..., ::2]).sigmoid())

    return call


def projection_gated_by_both(net: Net, x: Tensor) -> Tensor:
    stream, update = net.o(x), net.l(net.a(x).relu())
    gate = net.q(stream - update).sigmoid().view(12, W)
    return (gate * stream.view(12, W) + (1 - gate) * update.view(12, W)).view(2, 6, W)


def pooled_nodes(net: Net, x: Tensor) -> Tensor:
    some = torch.tensor([0, 2, 5])
    lower = net.l(x[some] * net.a(x)[some].tanh()) + net.b.bias
    raised = torch.zeros_like(x)
    raised[some] = net.o(torch.zeros_like(lower).index_add(0, torch.tensor([1, 2, 0]), lower.relu()))
    return net.n(x + raised)


def expert_of_some(net: Net, x: Tensor) -> Tensor:
    some, put = torch.tensor([0, 2, 5]), torch.zeros_like(x)
    put[some] = net.l(net.a(x[some]).relu())
    return x + put


def gated_like_a_gru(net: Net, x: Tensor) -> Tensor:
    update = net.l(net.a(x).relu())
    gate = (net.q(update) + net.k(x) - 2).sigmoid()
    return (1 - gate) * x + gate * update


def weighted(weights: Callable[[Net, Tensor], Tensor], equation: str) -> Callable[..., Tensor]:
    def call(net: Net, x: Tensor) -> Tensor:
        stack = torch.stack([x, net.l(net.a(x).relu())])
        return net.n(torch.einsum(equation, stack, weights(net, stack)))

    return call


def mixed_streams(net: Net, x: Tensor) -> Tensor:
    streams = torch.stack([x, net.l(x).relu()], -2)
    inner, outer = (net.low(net.n(streams)).sigmoid().mT @ streams).unbind(-2)
    return outer + net.b(net.a(inner).relu())


def levels_with_gates(net: Net, x: Tensor) -> Tensor:
    context, gates = net.l(x).chunk(2, -1)
    first = net.a(F.pad(context, (0, 4))).relu()
    return first * gates[..., :1] + net.b(first).relu() * gates[..., 1:2]


def concatenated(one: Callable[[Net, Tensor], Tensor], other: Callable[[Net, Tensor], Tensor]) -> Callable[..., Tensor]:
    def call(net: Net, x: Tensor) -> Tensor:
        x = net.conv(x)
        return net.point(torch.cat([one(net, x), other(net, x)], 1)[:, ::2])

    return call


def convolved(net: Net, x: Tensor) -> Tensor:
    return net.point(x).relu()


def some_layers(net: Net, x: Tensor) -> Tensor:
    return net.last(net.conv(x).relu()).relu()


def some_blocks(net: Net, x: Tensor) -> Tensor:
    return some_layers(net, x + some_layers(net, x))


def halves_and_more(net: Net, x: Tensor) -> Tensor:
    halves = list(net.conv(x).relu().chunk(2, 1))
    halves.append(some_layers(net, halves[1].repeat(1, 2, 1, 1)))
    return torch.cat(halves, 1)


def transforms(net: Net, x: Tensor) -> Tensor:
    return net.n(x + torch.fft.fft2(x).real)


READINGS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], list[str]]] = {
    # 1: heads and windows aren't a lower resolution
    "heads at 2x2": (heads, tensors((2, 2, 2, W)), [IDENTITY]),
    "heads at 4x4": (heads, tensors((2, 4, 4, W)), [IDENTITY]),
    "windows": (windows, tensors((2, 4, 4, W)), [IDENTITY]),
    "a bridge": (bridge, (IMAGES,), [LONG]),
    "a pyramid": (pyramid, (IMAGES,), [LONG]),
    "a pyramid with activations": (pyramid_with_activations, (IMAGES,), [LONG]),
    "both raised": (raised, (IMAGES,), [PROJECTION]),
    # 2: what lies inside a branch doesn't matter
    "nested": (nested, (TOKENS,), [IDENTITY, IDENTITY, IDENTITY]),
    # 3: one shortcut around both branches, none between siblings
    "x + a + b": (in_order, (TOKENS,), [IDENTITY]),
    "a + b + x": (siblings_first, (TOKENS,), [IDENTITY]),
    "siblings": (lambda net, x: net.a(x).relu() + net.o(net.b(x).relu()), (TOKENS,), []),
    "an adapter": (adapted, (TOKENS,), []),
    "a projection": (lambda net, x: net.l(x) + net.b(net.a(x).relu()), (TOKENS,), [PROJECTION]),
    # 4: ancestry, not the order of the inputs
    "cross-attention": (cross_attention, (OTHERS, TOKENS), [IDENTITY]),
    "a mask first": (masked, (torch.ones(2, 6), IDS), [IDENTITY]),
    "learned queries": (from_queries, (OTHERS,), [IDENTITY, IDENTITY]),
    "learned queries among themselves": (from_queries_alone, (OTHERS,), [IDENTITY, IDENTITY]),
    "positions at each layer": (with_positions_again, (TOKENS, torch.ones(2, 6).long()), [IDENTITY, IDENTITY]),
    "an embedding at each layer": (embedded_each_time, (TOKENS, OTHERS), [CONDITIONING] * 3),
    # 5: recurrent state
    "a recurrence": (recurrent, (TOKENS,), []),
    "a recurrence with weights": (recurrent_with_weights, (TOKENS,), []),
    "a recurrence with gates": (recurrent_with_gates, (TOKENS,), []),
    "linear attention": (linear_attention, (TOKENS,), []),
    # 6: sums of embeddings
    "embeddings": (embeddings, (IDS,), []),
    # 7: scores and rotary embeddings
    "scores": (scores, (TOKENS,), []),
    "relative positions": (relative, (TOKENS,), []),
    "rotary": (rotary, (TOKENS,), []),
    "distances to a codebook": (nearest_of_a_codebook, (TOKENS,), []),
    # 8: a stream that passes through functions without parameters
    "scaled": (passed(lambda x: x * 1.5), (TOKENS,), [IDENTITY]),
    "cloned": (passed(lambda x: x.clone()), (TOKENS,), [IDENTITY]),
    "viewed": (passed(lambda x: x.view(2, 3, 2, W).view(2, 6, W)), (TOKENS,), [IDENTITY]),
    "cast": (passed(lambda x: x.double().float()), (TOKENS,), [IDENTITY]),
    "sliced": (passed(lambda x: x[:, 1:], lambda u: u[:, 1:]), (TOKENS,), [IDENTITY]),
    "dropped out": (passed(lambda x: F.dropout(x, 0.5, training=True)), (TOKENS,), [IDENTITY]),
    "beside a token": (beside_a_token, (TOKENS,), [IDENTITY, IDENTITY]),
    "padded": (passed(lambda x: F.pad(x, (0, 2)), lambda u: F.pad(u, (0, 2))), (TOKENS,), [IDENTITY]),
    "a scan beside a scale": (scan, (TOKENS,), [PROJECTION]),
    "a difference beside a scale": (difference_beside_a_scale, (TOKENS,), [IDENTITY]),
    "a scan with weights of its siblings": (scan_with_weights_of_its_siblings, (TOKENS,), [PROJECTION]),
    "mixed with the last token": (mixed_with_the_last, (TOKENS,), []),
    "scaled by a parameter": (lambda net, x: net.decay * x + net.l(net.a(x).relu()), (TOKENS,), [PROJECTION]),
    "rectified": (passed(lambda x: x.relu()), (TOKENS,), [UNCERTAIN]),
    # 9: a shape is no ancestor
    "shapes alone": (expanded_parameter, (TOKENS,), []),
    "straight through": (straight_through, (TOKENS,), []),
    "halves of a flow": (flow, (TOKENS,), []),
    "halves of a coupling": (coupling, (TOKENS,), []),
    # 17: spellings and tensors of all kinds
    "one vector": (lambda net, x: x + net.l(x).relu(), tensors((W,)), [IDENTITY]),
    "a branch without parameters": (transforms, (TOKENS,), [IDENTITY]),
    "a gated branch": (gated, (TOKENS,), [IDENTITY]),
    # 18: adapters, graphs, and concatenated sums
    "an adapter with a magnitude": (with_a_magnitude, (TOKENS,), []),
    "scores and those before": (scores_and_those_before, (TOKENS,), []),
    "neighbors": (lambda net, x: net.l(x + of_neighbors(x)), (TOKENS[0],), [IDENTITY]),
    "neighbors of what is scaled": (lambda net, x: net.l(of_neighbors(x) + 1.5 * x), (TOKENS[0],), [IDENTITY]),
    "a variance of neighbors": (lambda net, x: net.l(of_neighbors(x * x) - of_neighbors(x) ** 2), (TOKENS[0],), []),
    "neighbors by a matrix": (lambda net, x: net.l(x + torch.ones(6, 6) @ x), (TOKENS[0],), [IDENTITY]),
    "channels by a matrix": (lambda net, x: net.l(x + x @ torch.ones(W, W)), (TOKENS[0],), []),
    "two maps, one of neighbors": (lambda net, x: net.l(x) + net.a(of_neighbors(x)), (TOKENS[0],), []),
    "pooled nodes": (pooled_nodes, (TOKENS[0],), [LONG]),
    "an expert of some tokens": (expert_of_some, (TOKENS[0],), [IDENTITY]),
    # 19: gates that are computed from both terms
    "a gate": (gated_by_both(lambda x, u, t: t * x + (1 - t) * u), (TOKENS,), [IDENTITY]),
    "a gate that is written with a difference": (gated_by_both(lambda x, u, t: u + t * (x - u)), (TOKENS,), [IDENTITY]),
    "a gate that is subtracted": (gated_by_both(lambda x, u, t: x - t * (x - u)), (TOKENS,), [IDENTITY]),
    "a gate of lerp": (gated_by_both(torch.lerp), (TOKENS,), [IDENTITY]),
    "a gate for each token": (gated_by_both(lambda x, u, t: u + (x - u) * t[..., :1]), (TOKENS,), [IDENTITY]),
    "a GRU": (lambda net, x: net.gru(net.l(x).relu(), x), (TOKENS[0],), [IDENTITY]),
    "a projection and a gate": (projection_gated_by_both, (TOKENS,), [PROJECTION]),
    # 20: weights that are computed from the stream
    "mixed streams": (mixed_streams, (TOKENS,), [UNCERTAIN]),
    "two gates": (lambda net, x: net.q(x).sigmoid() * x + net.l(x).relu(), (TOKENS,), [UNCERTAIN]),
    "levels with gates": (levels_with_gates, (TOKENS,), []),
    "gates of two maps": (gated_like_a_gru, (TOKENS,), [IDENTITY]),
    # 21: merges by weights that aren't looked at, and by elements
    "a weighted stack": (weighted(lambda net, stack: net.decay[:2], "sbnc,s->bnc"), (TOKENS,), [UNCERTAIN]),
    "computed weights": (weighted(lambda net, stack: net.q(stack), "sbnc,sbnc->bnc"), (TOKENS,), [UNCERTAIN]),
    "a layer of a stack": (weighted(lambda net, stack: net.l.weight, "sbnc,cd->sbnd"), (TOKENS,), []),
    "a choice": (lambda net, x: x.where(net.q(x) > 0, net.l(net.a(x).relu())), (TOKENS,), [UNCERTAIN]),
    "the larger": (lambda net, x: torch.maximum(x, net.l(net.a(x).relu())), (TOKENS,), [UNCERTAIN]),
    "a choice of a sum": (
        lambda net, x: torch.where(x > 0, net.l(x) + net.b(net.a(x).relu()), x), (TOKENS,), [PROJECTION, UNCERTAIN]
    ),
    "a choice of siblings": (lambda net, x: net.q(x).relu().where(x > 0, net.l(x).relu()), (TOKENS,), []),
    # 22: concatenations of more than a stream and its branch
    "a projection is concatenated": (concatenated(lambda net, x: net.point(x), some_layers), (IMAGES,), [LONG]),
    "siblings are concatenated": (concatenated(convolved, some_layers), (IMAGES,), []),
    "a stream is convolved and concatenated": (concatenated(convolved, some_blocks), (IMAGES,), [IDENTITY, UNCERTAIN]),
    "both pass a block": (concatenated(some_blocks, some_blocks), (IMAGES,), [IDENTITY, IDENTITY]),
    "halves and more": (halves_and_more, (IMAGES,), [LONG]),
    "a projection beside its input": (a_projection_beside_its_input, (IMAGES,), [PROJECTION, LONG]),
}  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
def test_reads(name) -> None:
    call, inputs, expected = READINGS[name]
    assert found(call, *inputs) == expected


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta:UserWarning")
def test_reads_past_a_sparse_matrix() -> None:
    assert found(by_a_sparse_matrix, TOKENS) == [IDENTITY]


@pytest.mark.parametrize(
    ("call", "operation"),
    [
        (lambda net, x: torch.stack([x, net.l(x).relu()]).sum(0), "stacked sum"),
        (lambda net, x: torch.addmm(x[0], net.a(x[0]).relu(), net.l.weight), "sum with a product"),
        (lambda net, x: x[0].index_add(0, torch.arange(6), net.l(x[0]).relu()), "indexed addition"),
        (lambda net, x: added_by_a_script(x, net.l(x).relu()), "hidden addition"),
        (lambda net, x: torch.cat([x, net.l(x).relu()], -1), "concatenation"),
        (lambda net, x: net.gru(net.l(x[0]).relu(), x[0]), "hidden addition"),
        (lambda net, x: x + 0.3 * (net.l(x).relu() - x), "interpolation"),
        (gated_by_both(torch.lerp), "interpolation"),
        (gated_by_both(lambda x, u, t: torch.addcmul(u, t, x - u)), "interpolation"),
        (lambda net, x: torch.stack([x, net.l(x).relu()]).mean(0), "stacked sum"),
        (lambda net, x: torch.where(x > 0, x, net.l(x).relu()), "mixture"),
    ],
    ids=["stack", "addmm", "index_add", "script", "cat", "gru", "difference", "lerp", "addcmul", "mean", "where"],
)
def test_lists_what_cannot_be_replaced(call, operation) -> None:
    (shortcut,) = found(call, TOKENS, kinds=False)
    assert (shortcut.operation, shortcut.is_replaceable) == (operation, False)


def _added(x: Tensor, y: Tensor) -> Tensor:
    return x + y


with pytest.warns(DeprecationWarning, match="jit.script"):
    added_by_a_script = torch.jit.script(_added)


def test_finds_complex_streams() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(W, W, dtype=torch.complex64))

        def forward(self, x: Tensor) -> Tensor:
            return x + (x @ self.weight).abs() * 1j

    assert [each.kind for each in find_shortcuts(Complex(), TOKENS.to(torch.complex64))] == [IDENTITY]


def test_sums_of_more_than_two_terms_are_one() -> None:
    (shortcut,) = found(in_order, TOKENS, kinds=False)
    assert (shortcut.earlier, shortcut.call, shortcut.branch) == ((0,), 1, ("n", "a", "b", "o"))
    (shortcut,) = found(siblings_first, TOKENS, kinds=False)
    assert (shortcut.earlier, shortcut.call, shortcut.branch) == ((), 1, ("n", "a", "b", "o"))


def test_levels_say_what_lies_inside() -> None:
    shortcuts = found(nested, TOKENS, kinds=False)
    assert [each.level for each in shortcuts] == [0, 1, 0]
    assert len(shortcuts.where(level=0)) == 2


def test_the_branch_of_a_view_is_that_of_what_it_views() -> None:
    (shortcut,) = found(lambda net, x: net.gru(net.l(x).relu().view(12, W), x.view(12, W)), TOKENS, kinds=False)
    assert shortcut.branch == ("l",)


@pytest.mark.parametrize("merge", [torch.add, lambda x, update: x.lerp(update, 0.5)], ids=["sum", "interpolation"])
def test_an_update_that_is_used_elsewhere_is_uncertain(merge) -> None:
    def twice(net: Net, x: Tensor) -> tuple[Tensor, Tensor]:
        update = net.l(x).relu()
        return merge(x, update), net.b(update)

    assert found(twice, TOKENS) == [UNCERTAIN]


@pytest.mark.parametrize(
    ("call", "shape", "dim"),
    [
        (lambda net, x: x + net.l(net.a(x.permute(0, 2, 3, 1)).relu()).permute(0, 3, 1, 2), (2, W, W, W), 1),
        (lambda net, x: x + net.conv(x), (2, W, W, W), 1),
        (lambda net, x: x + net.l(x), (2, W, W, W), 3),
        (lambda net, x: x + net.l(x.mT).mT, (2, W, W), 1),
        (lambda net, x: x + net.decay * x.relu(), (2, W, W), 2),
    ],
    ids=["permuted back", "images", "channels last", "transposed back", "scale"],
)
def test_the_channels_are_found_where_all_sizes_are_equal(call, shape, dim) -> None:
    (shortcut,) = found(call, *tensors(shape), kinds=False)
    assert shortcut.channel_dim == dim


def test_additions_in_training_mode_alone_are_found_in_it() -> None:
    def only_training(net: Net, x: Tensor) -> Tensor:
        return x + net.l(x).relu() if net.training else x

    assert found(only_training, TOKENS) == []
    assert found(only_training, TOKENS, training=True) == [IDENTITY]


def test_training_mode_leaves_buffers_and_modes_as_they_were() -> None:
    model = nn.Sequential(nn.Conv2d(W, W, 1), nn.BatchNorm2d(W)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    find_shortcuts(model, IMAGES, training=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


@dataclass
class Batch:
    x: Tensor


class OfBatches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(W, W)

    def forward(self, batch: Any = None, *, x: Any = None) -> Tensor:
        x = batch.x if x is None else x
        return x + self.layer(x).relu()


@pytest.mark.parametrize(
    "inputs",
    [UserDict(x=TOKENS), {"x": TOKENS}, Batch(TOKENS), (Batch(TOKENS),)],
    ids=["user", "dict", "data", "tuple"],
)
def test_inputs_may_be_any_objects_that_hold_tensors(inputs) -> None:
    assert [each.kind for each in find_shortcuts(OfBatches(), inputs)] == [IDENTITY]
