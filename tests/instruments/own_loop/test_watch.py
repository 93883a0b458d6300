"""Instruments in a bare PyTorch loop: the numbers of a slow loop, and nothing changed."""

import copy
import math
import weakref

import pytest
import torch
from loops import batches, gradient_norms, network, norm, same, train, values
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.optimizer import _global_optimizer_pre_hooks

import skiplab
from forked_ranks import on_two_ranks
from skiplab.errors import SkiplabError
from skiplab.instruments.gradient_flow import GradientFlow
from skiplab.instruments.own_loop.readings_file import read_readings

ALL = ["gradient_flow", "update_ratio", "activation_statistics", "gradient_noise", "stability"]
LOOPS = {
    "plain": {},
    "clipped": {"clip": 0.01},
    "accumulated": {"accumulated": 3, "clip": 0.01},
    "scaled": {"scale": 1024.0},
    "scaled, clipped": {"scale": 1024.0, "clip": 0.01, "accumulated": 2},
}


@pytest.mark.parametrize("loop", LOOPS)
def test_numbers_of_a_slow_loop_and_the_same_weights(loop, tmp_path) -> None:
    asked = dict(LOOPS[loop])
    scale = asked.pop("scale", None)
    scalers = [None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale) for _ in range(2)]
    unwatched = train(network(), **asked, scaler=scalers[0])
    expected, before = {}, {}

    def note(step: int, model: nn.Module) -> None:
        expected[step] = gradient_norms(model, scale or 1.0)
        before[step] = copy.deepcopy(model)

    after = {}
    model, path = network(), tmp_path / "readings.csv"
    with skiplab.watch(model, ALL, every=3, to=path) as watch:

        def step(loss) -> None:
            after[watch.next_step] = copy.deepcopy(model)
            watch.step(loss)

        train(model, **asked, scaler=scalers[1], before_clipping=note, after=step)
    assert same(model, unwatched)
    found = values(path, "weight_gradient_norm")
    assert list(found) == [0, 3, 6]
    for step, own in found.items():
        assert own == pytest.approx(expected[step], rel=1e-6)
    ratios = values(path, "update_ratio")
    for step, own in ratios.items():
        old, new = (dict(each[step].named_modules()) for each in (before, after))
        for place, ratio in own.items():
            pairs = list(zip(new[place].parameters(), old[place].parameters(), strict=True))
            assert ratio == pytest.approx(norm(a - b for a, b in pairs) / norm(b for _, b in pairs), rel=1e-6)
    assert set(values(path, "gradient_cosine")) == {1, 4}
    assert set(values(path, "activation_rms")) == {0, 3, 6}


def test_gradients_of_outputs_are_those_of_autograd(tmp_path) -> None:
    model, path = network().eval(), tmp_path / "readings.csv"
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
    with skiplab.watch(model, ["gradient_flow"], every=1, to=path) as watch:
        train(model, num_steps=1, scaler=scaler, after=watch.step)
    ((x, y),) = batches(1)
    start = network().eval()
    hidden = start[:5](x).detach().requires_grad_()
    nn.functional.cross_entropy(start[5:](hidden), y).backward()
    assert values(path, "activation_gradient_norm")[0]["4"] == pytest.approx(norm([hidden.grad]), rel=1e-6)


def test_off_schedule_nothing_is_left_in_the_network(tmp_path) -> None:
    model = network()

    def hooks(model: nn.Module) -> int:
        own = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
        own += sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())
        return own + len(_global_optimizer_pre_hooks)

    found = []
    with skiplab.watch(model, ALL, every=3, to=tmp_path / "readings.csv") as watch:
        train(model, before_clipping=lambda _, model: found.append(hooks(model) > 0), after=watch.step)
    assert found == [True, True, False, True, True, False, True]  # a pair of steps for gradient_noise
    assert hooks(model) == 0


def test_a_step_that_mixed_precision_skips_is_made_up_for(tmp_path) -> None:
    model, path = network(), tmp_path / "readings.csv"
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-100)
    with skiplab.watch(model, ["gradient_flow", "update_ratio"], every=5, to=path) as watch:
        train(model, scaler=scaler, factor=4.0, after=watch.step)
    found = values(path, "weight_gradient_norm")
    assert list(found) == [1, 5]
    assert all(0 < value < 100 for own in found.values() for value in own.values())


class Odd(nn.Module):
    """Weights that are shared, frozen, used without a call, sparse, or in layers that return more than a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 9, bias=False)  # registered first, called last
        self.table = nn.Embedding(9, 4)
        self.sparse = nn.Embedding(9, 4, sparse=True)
        self.rnn = nn.LSTM(4, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.frozen = nn.Linear(4, 4).requires_grad_(False)
        self.by_name = nn.Linear(4, 4)
        self.unused = nn.Linear(4, 4)
        self.head.weight = self.table.weight

    def forward(self, tokens):
        x = self.table(tokens) + self.sparse(tokens)
        x, _ = self.rnn(x)
        x, _ = self.attention(x, x, value=x)
        return self.head(self.by_name(input=self.frozen(x)))


def test_shared_frozen_sparse_and_unusual_layers(tmp_path) -> None:
    torch.manual_seed(0)
    model, path = Odd(), tmp_path / "readings.csv"
    dense = torch.optim.SGD([p for n, p in model.named_parameters() if n != "sparse.weight"], lr=0.1)
    sparse = torch.optim.SparseAdam([model.sparse.weight], lr=0.1)
    tokens = torch.randint(0, 9, (3, 5))
    with skiplab.watch(model, ["gradient_flow", "activation_statistics", "update_ratio"], every=1, to=path) as watch:
        loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
        loss.backward()
        model.sparse.weight.grad = model.sparse.weight.grad.to_dense().to_sparse(1)
        expected = gradient_norms(model)
        dense.step()
        sparse.step()
        with torch.no_grad():
            model(tokens[:1])  # validation in the middle of a step
        watch.step(loss)
    found = values(path, "weight_gradient_norm")[0]
    assert found == pytest.approx(expected, rel=1e-6)
    assert found["head"] == found["table"] > 0
    assert found["frozen"] == found["unused"] == 0
    outputs = values(path, "activation_gradient_norm")[0]
    assert list(outputs) == ["head", "table", "sparse", "rnn", "attention", "frozen", "by_name"]
    order = dict(zip(*[read_readings(path).layers[name] for name in ("path", "index")], strict=True))
    assert sorted(order, key=order.__getitem__)[:4] == ["table", "sparse", "rnn", "attention"]
    assert order["head"] == 6
    assert values(path, "activation_rms")[0].keys() == outputs.keys() - {"table", "sparse"}
    ratios = values(path, "update_ratio")[0]
    assert ratios["frozen"] == ratios["unused"] == 0 < ratios["sparse"]


def test_each_of_several_optimizers_counts_with_the_gradient_that_it_used(tmp_path) -> None:
    """Two networks in turns: the second's loss leaves a gradient in the first, which no optimizer uses."""
    torch.manual_seed(0)
    nets = nn.ModuleDict({"critic": nn.Linear(3, 1), "maker": nn.Linear(2, 3)})
    first, second = (torch.optim.SGD(nets[name].parameters(), lr=0.1) for name in ("critic", "maker"))
    path, expected = tmp_path / "readings.csv", {}
    with skiplab.watch(nets, ["gradient_flow"], every=2, to=path) as watch:
        for step in range(3):
            first.zero_grad()
            nets["critic"](nets["maker"](torch.randn(4, 2)).detach()).square().mean().backward()
            expected[step] = {"critic": norm(p.grad for p in nets["critic"].parameters())}
            first.step()
            second.zero_grad()
            (5 - nets["critic"](nets["maker"](torch.randn(4, 2)))).square().mean().backward()
            expected[step]["maker"] = norm(p.grad for p in nets["maker"].parameters())
            second.step()
            watch.step()
    found = values(path, "weight_gradient_norm")
    assert list(found) == [0, 2]
    for step, own in found.items():
        assert own == pytest.approx(expected[step], rel=1e-6)


def by_autograd(model: nn.Module, loss, optimizer, scaler) -> None:
    gradients = torch.autograd.grad(loss(), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        parameter.grad = gradient


def by_projection(model: nn.Module, loss, optimizer, scaler) -> None:
    """The gradients of two passes, put together by hand."""
    loss().backward()
    first = [parameter.grad for parameter in model.parameters()]
    optimizer.zero_grad()
    loss().backward()
    for parameter, gradient in zip(model.parameters(), first, strict=True):
        parameter.grad = gradient + 2 * parameter.grad


def after_unscaling(model: nn.Module, loss, optimizer, scaler) -> None:
    scaler.scale(loss()).backward()
    scaler.unscale_(optimizer)
    for parameter in model.parameters():
        parameter.grad = 3 * parameter.grad


@pytest.mark.parametrize("replace", [by_autograd, by_projection, after_unscaling])
def test_gradients_that_the_loop_puts_in_their_place(replace, tmp_path) -> None:
    model, path, expected = network().eval(), tmp_path / "readings.csv", {}
    ((x, y),) = batches(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=64.0, enabled=replace is after_unscaling)
    with skiplab.watch(model, ["gradient_flow"], every=1, to=path) as watch:
        for step in range(2):
            optimizer.zero_grad()
            replace(model, lambda: nn.functional.cross_entropy(model(x), y), optimizer, scaler)
            expected[step] = gradient_norms(model)
            scaler.step(optimizer)
            scaler.update()
            watch.step()
    for step, own in values(path, "weight_gradient_norm").items():
        assert own == pytest.approx(expected[step], rel=1e-6)
        assert own["0"] > 0


def test_weights_that_no_optimizer_updates_have_no_gradient(tmp_path) -> None:
    """Their .grad may be left from an earlier step, or grow from step to step, as the optimizer doesn't clear it."""
    torch.manual_seed(0)
    x = torch.randn(8, 4)
    for frozen in (True, False):
        model, path = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1)), tmp_path / f"{frozen}.csv"
        optimizer = torch.optim.SGD(model.parameters(), 0.01)
        with skiplab.watch(model, ["gradient_flow", "update_ratio"], every=1, to=path) as watch:
            for step in range(4):
                if step == 2:
                    model[0].requires_grad_(not frozen)
                    optimizer = torch.optim.SGD(model[2].parameters(), 0.01)
                optimizer.zero_grad()
                loss = model(x).pow(2).sum()
                loss.backward()
                optimizer.step()
                watch.step(loss)
        for quantity in ("weight_gradient_norm", "update_ratio"):
            found = values(path, quantity)
            assert [found[step]["0"] > 0 for step in range(4)] == [True, True, False, False], quantity
            assert all(found[step]["2"] > 0 for step in range(4))


def test_an_optimizer_that_steps_within_the_backward_pass(tmp_path) -> None:
    model, path = network().eval(), tmp_path / "readings.csv"
    ((x, y),) = batches(1)
    nn.functional.cross_entropy(model(x), y).backward()
    expected = gradient_norms(model)
    model.zero_grad()
    optimizers = {parameter: torch.optim.SGD([parameter], lr=0.1) for parameter in model.parameters()}

    def update(parameter) -> None:
        optimizers[parameter].step()
        optimizers[parameter].zero_grad()

    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(update)
    with skiplab.watch(model, ["gradient_flow"], to=path) as watch:
        nn.functional.cross_entropy(model(x), y).backward()
        watch.step()
    assert values(path, "weight_gradient_norm")[0] == pytest.approx(expected, rel=1e-6)


def test_copies_and_saved_networks_arent_watched(tmp_path) -> None:
    model, path = network().eval(), tmp_path / "readings.csv"
    ((x, y),) = batches(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skiplab.watch(model, ["gradient_flow", "activation_statistics"], to=path) as watch:
        torch.save(model, tmp_path / "model.pt")
        saved = torch.load(tmp_path / "model.pt", weights_only=False)
        for other in (copy.deepcopy(model), saved):
            nn.functional.cross_entropy(other(9 * x), y).backward()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        found = watch.step()
    with skiplab.watch(
        network().eval(), ["gradient_flow", "activation_statistics"], to=tmp_path / "alone.csv"
    ) as watch:
        alone = watch._observer.network.model
        nn.functional.cross_entropy(alone(x), y).backward()
        torch.optim.SGD(alone.parameters(), lr=0.1).step()
        assert found == pytest.approx(watch.step(), rel=1e-6)


class Fourier(nn.Module):
    """A layer with complex weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, dtype=torch.complex64))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x) @ self.weight, n=4)


def test_complex_weights_are_measured(tmp_path) -> None:
    torch.manual_seed(0)
    model, path = Fourier(), tmp_path / "readings.csv"
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skiplab.watch(model, ALL, every=2, to=path) as watch:
        for step in range(2):
            optimizer.zero_grad()
            model(torch.randn(5, 4)).square().mean().backward()
            if step == 0:
                expected = norm([torch.view_as_real(model.weight.grad)])
                size = norm([torch.view_as_real(model.weight)])
            optimizer.step()
            watch.step()
    assert values(path, "weight_gradient_norm")[0][""] == pytest.approx(expected, rel=1e-6)
    assert values(path, "update_ratio")[0][""] == pytest.approx(0.1 * expected / size, rel=1e-4)
    assert values(path, "gradient_cosine").keys() == {1}


def test_a_loop_that_writes_weights_itself_is_told_so(tmp_path) -> None:
    model = nn.Linear(3, 1)
    watch = skiplab.watch(model, ["gradient_flow"], every=1, to=tmp_path / "readings.csv").__enter__()
    for _ in range(2):
        model.zero_grad()
        model(torch.randn(4, 3)).sum().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= 0.1 * parameter.grad
        assert watch.step() == {}
    with pytest.warns(UserWarning, match=r"no optimizer of torch\.optim updated the watched network"):
        watch.close()


def _reduced_norms(rank: int, path):
    model = DistributedDataParallel(nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with skiplab.watch(model, ["gradient_flow"], every=1, to=path) as watch:
        torch.manual_seed(rank)
        model(torch.randn(5, 4)).square().mean().backward()
        reduced = gradient_norms(model.module)  # not yet clipped
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
        optimizer.step()
        watch.step()
    return reduced


def test_reduced_gradients_of_several_processes_from_the_first(tmp_path) -> None:
    path = tmp_path / "readings.csv"
    torch.manual_seed(7)  # the same weights in both
    expected = on_two_ranks(_reduced_norms, path, folder=tmp_path)
    assert expected[0] == pytest.approx(expected[1], rel=1e-12)
    assert values(path, "weight_gradient_norm")[0] == pytest.approx(expected[0], rel=1e-6)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for layer in self.layers:
            x = x + layer(x)
        return x


def test_blocks_by_pattern_by_shortcuts_and_by_joins(tmp_path) -> None:
    inputs = (torch.randn(2, 4),)
    found = {}
    for name in ("pattern", "shortcuts", "joins"):
        torch.manual_seed(0)
        model = Residual()
        asked = {"pattern": {"blocks": "layers.*"}, "shortcuts": {"example_inputs": inputs}, "joins": {}}[name]
        if name == "joins":
            skiplab.ablate(model, "identity", skiplab.find_shortcuts(model, inputs))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        path = tmp_path / f"{name}.csv"
        instruments = ["gradient_flow", "update_ratio", *(["update_alignment"] if name == "joins" else [])]
        with skiplab.watch(model, instruments, every=1, to=path, **asked) as watch:
            model(*inputs).square().mean().backward()
            expected = [norm(p.grad for p in layer.parameters()) for layer in model.layers]
            optimizer.step()
            watch.step()
        found[name] = list(values(path, "block_gradient_norm")[0].values())
        assert found[name] == pytest.approx(expected, rel=1e-6)
        assert watch.summary()["gradient_first_to_last"] == pytest.approx(expected[0] / expected[-1])
    assert len(values(path, "alignment")[0]) == 3


def test_losses_and_summary(tmp_path) -> None:
    model, path, losses = network(), tmp_path / "readings.csv", []
    asked = {"batch_size": 6, "zero_loss": math.log(3)}
    with skiplab.watch(model, ALL, every=4, to=path, **asked) as watch:
        train(model, num_steps=12, after=lambda loss: (losses.append(loss.item()), watch.step(loss)))
    summary = watch.summary()
    assert summary["loss_start"] == pytest.approx(losses[0] / math.log(3))
    assert summary["thousand_steps"] == 0.012
    assert "lost_step_fraction" not in summary  # of skipped updates a loop says nothing
    cosines = [value for own in values(path, "gradient_cosine").values() for value in own.values()]
    assert summary["gradient_agreement"] == pytest.approx(sum(cosines) / len(cosines))
    with skiplab.watch(model, ["stability"], to=path, first_step=12) as watch:
        watch.step(float("inf"))
    assert watch.summary().keys() == {"diverged", "spikes_per_1000_steps", "thousand_steps"}
    assert watch.summary()["diverged"] == 1


def test_a_loss_is_one_number_and_keeps_no_tensor_alive(tmp_path) -> None:
    loss = torch.tensor([2.5])
    kept = weakref.ref(loss)
    with skiplab.watch(network(), ["stability"], every=100, to=tmp_path / "readings.csv") as watch:
        watch.step(loss)
        del loss
        assert kept() is None
        with pytest.raises(SkiplabError, match=r"loss has the shape \(6,\); valid: a number"):
            watch.step(torch.zeros(6))
    assert list(read_readings(tmp_path / "readings.csv").losses) == [2.5]


REFUSED = {
    "no such instrument": (lambda: skiplab.watch(network(), ["gradient_flw"]), "did you mean 'gradient_flow'"),
    "a text": (lambda: skiplab.watch(network(), "stability"), "valid: a list, such as"),
    "twice": (lambda: skiplab.watch(network(), ["stability", "stability"]), "'stability' twice"),
    "every": (lambda: skiplab.watch(network(), ["stability"], every=0), "every=0 is invalid; valid: a whole number"),
    "batch_size": (lambda: skiplab.watch(network(), ["stability"], batch_size=1.5), "batch_size=1.5 is invalid"),
    "zero_loss": (lambda: skiplab.watch(network(), ["stability"], zero_loss=0.0), "zero_loss=0.0 is invalid"),
    "needs a trial": (lambda: skiplab.watch(network(), ["skill_allocation"]), "SkillAllocation needs the objective"),
    "no joins": (lambda: skiplab.watch(network(), ["update_alignment"]), "this network has none; let skiplab.ablate"),
    "no pattern": (lambda: skiplab.watch(network(), ["stability"], blocks="layer*"), "fits no module with weights"),
    "no layers": (lambda: skiplab.watch(nn.ReLU(), ["stability"]), "no weight of at least two dimensions"),
    "no network": (lambda: skiplab.watch([1], ["stability"]), "model is a list; valid: a torch.nn.Module"),
    "copies": (lambda: skiplab.watch(nn.DataParallel(network()), ["stability"]), "DistributedDataParallel instead"),
    "lazy": (lambda: skiplab.watch(nn.LazyLinear(2), ["stability"]), "run it once on a batch"),
    "script": (lambda: skiplab.watch(nn.Sequential(torch.jit.script(nn.Linear(2, 2))), ["stability"]),
               "0 is a script of torch.jit"),
    "meta": (lambda: skiplab.watch(network().to("meta"), ["stability", GradientFlow(every_n_steps=1, floor=0.0)])
             .__enter__(), "lie on meta"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, message = REFUSED[case]
    with pytest.raises(SkiplabError, match=message):
        make()


def watched(network: nn.Module, trained, path) -> None:
    """One update of a network, watched in another form."""
    with skiplab.watch(network, ["gradient_flow"], to=path) as watch:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        trained().square().sum().backward()
        optimizer.step()
        watch.step()


@pytest.mark.parametrize("how", ["given", "later", "in place"])
@pytest.mark.filterwarnings("ignore:Dynamo does not know how to trace:UserWarning")
def test_a_compiled_network_is_refused(how, tmp_path) -> None:
    model = nn.Linear(2, 2)
    network = torch.compile(model, backend="eager") if how == "given" else model

    def trained():
        if how == "in place":
            model.compile(backend="eager")
            return model(torch.randn(1, 2))
        return torch.compile(model, backend="eager")(torch.randn(1, 2))

    with pytest.raises(SkiplabError, match=r"is compiled by torch\.compile"):
        watched(network, trained, tmp_path / "readings.csv")


def test_another_network_than_the_trained_one_is_refused(tmp_path) -> None:
    model = network()
    with pytest.raises(SkiplabError, match="watch the network that is trained"):
        watched(model, lambda: torch.stack([each.sum() for each in model.parameters()]), tmp_path / "readings.csv")


def test_a_file_is_not_overwritten_and_can_be_continued(tmp_path) -> None:
    path = tmp_path / "new" / "readings.csv"
    for first_step in (0, 7):
        model = network()
        with skiplab.watch(model, ["gradient_flow"], every=7, to=path, first_step=first_step) as watch:
            train(model, after=watch.step)
    assert list(values(path, "weight_gradient_norm")) == [0, 7]
    with pytest.raises(SkiplabError, match=r"readings\.csv exists; give another file"):
        skiplab.watch(network(), ["gradient_flow"], to=path).__enter__()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(SkiplabError, match="can't be written"):
        skiplab.watch(network(), ["gradient_flow"], to=tmp_path / "folder.csv", first_step=1).__enter__()


def test_steps_after_the_one_that_training_goes_on_from_are_left_out(tmp_path) -> None:
    path = tmp_path / "readings.csv"
    for first_step, num_steps in ((0, 7), (3, 2)):
        model = network()
        with skiplab.watch(model, ["gradient_flow", "stability"], every=2, to=path, first_step=first_step) as watch:
            train(model, num_steps=num_steps, after=watch.step)
    assert list(values(path, "weight_gradient_norm")) == [0, 2, 4]
    assert list(read_readings(path).losses.index) == [0, 1, 2, 3, 4]
    assert watch.summary()["thousand_steps"] == 0.005
    other = tmp_path / "other.csv"
    other.write_text("a,b\n7,8\n")
    skiplab.watch(network(), ["gradient_flow"], to=other, first_step=1).__enter__().close()
    assert other.read_text() == "a,b\n7,8\n"
