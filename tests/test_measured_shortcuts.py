"""What each shortcut carries, against networks that are edited by hand."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import skiplab
from checkpoint_files import write_checkpoints
from command_line import run_command
from skiplab.errors import SkiplabError
from skiplab.measured_shortcuts import MeasuredShortcuts

WIDTH = 6


class Block(nn.Module):
    """x -> factor x + f(x)."""

    def __init__(self, width: int = WIDTH, inner: int = WIDTH) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, inner), nn.Linear(inner, width)
        self.drop = nn.Dropout(0.5)

    def update(self, x: Tensor) -> Tensor:
        return self.down(self.drop(self.up(self.norm(x)).tanh()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.update(x)


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


INPUTS, TARGETS = draw(20, 4), draw(20, 3)


def network(*inner: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, WIDTH), *(Block(inner=each) for each in inner), nn.Linear(WIDTH, 3))


def loss(model: nn.Module) -> Tensor:
    return nn.functional.mse_loss(model(INPUTS), TARGETS)


def by_hand(model: nn.Sequential, factors: dict[int, float]) -> float:
    """The loss with the stream scaled at these blocks."""
    stem, *blocks, head = model
    with torch.no_grad():
        stream = stem(INPUTS)
        for number, block in enumerate(blocks):
            stream = factors.get(number, 1.0) * stream + block.update(stream)
        return nn.functional.mse_loss(head(stream), TARGETS).item()


def measured(model: nn.Module, of=loss, **settings) -> MeasuredShortcuts:
    return skiplab.measure_shortcuts(model, of, skiplab.find_shortcuts(model, INPUTS), **settings)


def test_a_scaled_shortcut_costs_what_it_costs_in_the_edited_network() -> None:
    model = network(6, 6, 6).eval()
    table = measured(model, factors=(0, 0.5, 1, 1.5)).table().set_index("shortcut")
    for name, factor in (("removed", 0.0), ("x0.5", 0.5), ("x1.5", 1.5)):
        expected = [by_hand(model, {number: factor}) for number in range(3)]
        expected.append(by_hand(model, dict.fromkeys(range(3), factor)))
        assert table[name].tolist() == pytest.approx(expected, rel=1e-6)
    assert "x1" not in table


def test_swapped_neighbors_cost_what_blocks_in_the_other_order_cost() -> None:
    model = network(6, 6, 5, 6).eval()
    stem, a, b, c, d, head = model
    orders = [(b, a, c, d), (a, d, c, b)]  # the third has another shape, and the last no neighbor
    with torch.no_grad():
        expected = [loss(nn.Sequential(stem, *order, head)).item() for order in orders]
    frame = measured(model).frame
    swaps = frame[frame["change"] == "swapped"]
    assert swaps["shortcut"].tolist() == [0, 1]
    assert swaps["swapped_with"].tolist() == [1, 3]
    assert swaps["value"].tolist() == pytest.approx(expected, rel=1e-6)


def test_blocks_that_share_their_weights_are_not_swapped() -> None:
    model = network(6, 6)
    model[2].up, model[2].norm, model[2].down = model[1].up, model[1].norm, model[1].down
    assert "swapped" not in set(measured(model).frame["change"])


def test_the_untouched_loss_is_the_networks_own_bit_for_bit() -> None:
    model = network(6, 6).eval()
    assert measured(model).untouched() == loss(model).item()


def test_the_size_of_an_update_is_its_root_mean_square_over_that_of_the_stream() -> None:
    model = network(6, 6).eval()
    with torch.no_grad():
        stream, expected = model[0](INPUTS), []
        for block in (model[1], model[2]):
            update = block.update(stream)
            expected.append((update.square().mean() / stream.square().mean()).sqrt().item())
            stream = stream + update
    assert measured(model).table()["update_ratio"].tolist()[:2] == pytest.approx(expected, rel=1e-5)


def test_a_sum_of_two_branches_loses_its_stream_alone() -> None:
    class Parallel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.a(x) + self.b(x)

    torch.manual_seed(0)
    model = Parallel()
    table = measured(model, lambda model: model(INPUTS).square().mean()).table()
    expected = (model.a(INPUTS) + model.b(INPUTS)).square().mean().item()
    assert table["removed"].tolist() == pytest.approx([expected, expected])


def test_each_part_of_a_loss_is_measured() -> None:
    model = network(6, 6).eval()

    def parts(model: nn.Module) -> dict[str, Tensor]:
        errors = (model(INPUTS) - TARGETS).square().mean(1)
        return {"all": errors.mean(), "first": errors[:5].mean(), "others": errors[5:].mean()}

    found = measured(model, parts)
    assert found.parts == ("all", "first", "others")
    assert found.table()["removed"].tolist() == pytest.approx(measured(model).table()["removed"].tolist())
    first, others = (found.table(part)["removed"] for part in ("first", "others"))
    assert (0.25 * first + 0.75 * others).tolist() == pytest.approx(found.table()["removed"].tolist())
    assert len(found.figure().axes) == 4  # with the scale of colors
    assert len(measured(model).figure().axes) == 2
    with pytest.raises(SkiplabError, match=r"part='last' is no part of the loss; valid: 'all', 'first', 'others'"):
        found.table("last")


def state(model: nn.Module) -> list[object]:
    own = [(name, type(module), module.training) for name, module in model.named_modules()]
    return [own, {name: tensor.clone() for name, tensor in model.state_dict().items()}, torch.get_rng_state()]


def is_same(one: list[object], other: list[object]) -> bool:
    names = one[1].keys() == other[1].keys() and all(torch.equal(one[1][name], other[1][name]) for name in one[1])
    return one[0] == other[0] and names and torch.equal(one[2], other[2])


def test_network_and_generators_are_as_they_were() -> None:
    model = network(6, 6).train()
    model[1].eval()  # as where a part is frozen
    before = state(model)
    measured(model)
    assert is_same(state(model), before)

    def fails(model: nn.Module) -> Tensor:
        if model(INPUTS)[0, 0] != untouched:
            raise KeyError
        return loss(model)

    untouched = copy.deepcopy(model).eval()(INPUTS)[0, 0]
    with pytest.raises(KeyError):
        measured(model, fails)
    assert is_same(state(model), before)


def test_a_loss_that_draws_from_the_global_generator_is_the_same_each_time() -> None:
    model = network(6)

    def noisy(model: nn.Module) -> Tensor:
        return model(INPUTS + torch.randn(INPUTS.shape)).mean()

    assert measured(model, noisy).untouched() == measured(model, noisy).untouched()


@pytest.mark.parametrize(
    ("of", "settings", "message"),
    [
        (lambda model: "low", {}, r"returns a str that is no number; valid: a number, a tensor of one number, or"),
        (lambda model: model(INPUTS), {}, r"returns a Tensor that is no number"),
        (loss, {"factors": (1,)}, r"factors=\[1.0\] is invalid; valid: finite numbers, one of them not 1"),
        (loss, {"factors": (0, float("inf"))}, r"factors=inf is invalid"),
    ],
)
def test_what_is_no_loss_or_factor_is_refused(of, settings, message: str) -> None:
    with pytest.raises(SkiplabError, match=message):
        measured(network(6), of, **settings)


def test_a_loss_that_differs_from_call_to_call_is_refused() -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(SkiplabError, match=r"and then .* for the same network; draw its data and noise from"):
        measured(network(6), lambda model: model(torch.randn(4, 4, generator=generator)).mean())


def test_shortcuts_of_another_network_are_refused() -> None:
    model = network(6)
    with pytest.raises(SkiplabError, match="found in another model"):
        skiplab.measure_shortcuts(copy.deepcopy(model), loss, skiplab.find_shortcuts(model, INPUTS))


FACTORY = """
def made():
    model, x = nn.Sequential(Block(), Block()), torch.ones(3, 4)
    return model, x, lambda model: model(x).square().mean()

def wrong():
    return 3
"""


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch):
    return write_checkpoints(tmp_path, monkeypatch, "factories_of_checkpoints", FACTORY)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_command_measures_a_state_dict(workplace: Path, suffix: str) -> None:
    from factories_of_checkpoints import made
    from safetensors.torch import save_file

    model, _, loss = made()
    path = workplace / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)
    ended = run_command(["ablate", "factories_of_checkpoints:made", "--weights", str(path), "--to", "here"])
    assert ended.code == 0, ended.text
    assert f"untouched: {loss(model).item():.4g}" in ended.text
    assert (workplace / "here" / "shortcuts.csv").is_file()
    assert (workplace / "here" / "shortcuts.svg").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["elsewhere"], "MODEL=elsewhere is no network; valid: the folder of a finished trial, runs/KEY, a fol"),
        (["factories_of_checkpoints:wrong"], "returns a int; valid: (model, example inputs, loss), where loss(model)"),
        (["factories_of_checkpoints:nothing"], "can't be imported"),
        (["factories_of_checkpoints:made", "--weights", "none.pt"], "can't be loaded into Sequential: FileNotFound"),
        (["factories_of_checkpoints:made", "--kind", "odd"], "kind='odd' is invalid; valid: identity, projection"),
    ],
)
def test_the_command_refuses_what_it_cannot_measure(workplace: Path, words: list[str], message: str) -> None:
    ended = run_command(["ablate", *words])
    assert ended.code == 1
    assert message in ended.text
    assert not (workplace / "ablated").exists()
