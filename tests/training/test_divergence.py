"""How training ends: what its losses and its last update show; a number that can't be given leaves its trial done."""

import hashlib
import math
import statistics

import pytest
import torch
from safetensors.torch import load_file, save_file

from option_files import options
from skiplab.analysis.claims.contrasts import Contrast, compute_contrast
from skiplab.analysis.study.study import read_study
from skiplab.cli import main
from skiplab.errors import SkiplabError
from skiplab.evaluators.denoising_loss import DenoisingLoss
from skiplab.evaluators.evaluator import Result
from skiplab.evaluators.frechet_distance import FrechetDistance
from skiplab.evaluators.results.missing import UnmeasurableError
from skiplab.records.file_names import HISTORY
from skiplab.records.record import Record
from skiplab.records.table_file import read_table
from skiplab.seeding import keyed_generator
from skiplab.training import measure
from skiplab.training.build import build
from skiplab.training.divergence import Divergence, divergence_of, zero_loss
from skiplab.training.evaluate_record import evaluate_record
from skiplab.training.training_end import TrainingEnd, end_of_training
from tiny_trials import TINY, compose_config, run_composed

ONE_STEP = "trainer.max_steps=1"  # its loss is recorded before its only update
OVERFLOW = ("optimizer=sgd", "optimizer.lr=3e38", "optimizer.weight_decay=1e4")  # of 10^4 W, which is above 1.2
CLASSIFIER = ("objective=cross_entropy", "backbone=isotropic", "long_skip=none", "evaluator=[classification]")
NORM_FREE = [word for word in TINY if not word.startswith("norm.")]
WEIGHTS = "its last update left weights that aren't finite numbers"
OUTPUTS = "its last update left outputs that aren't finite numbers"
LOSS = "its last update left a loss that isn't a finite number"
NOT_FINITE = "its loss wasn't a finite number"
FAR_OFF = ("norm=none", "init=he", "connection=identity", "depth=16")  # its loss starts a thousand times too large

# A residual network of 16 blocks without norm, He-initialized, at a rate of 0.02; it recovers.
THROWN_UP_AND_DOWN = [800, 1.3e9, 5.7, 2.5, 88, 2500, 1800, 650, 400, 340, 2900, 76, 1.3, 3.8, 9.7, *[1.1] * 20]


def judged(*losses: float) -> Divergence:
    """A judge that has seen these losses, in units of the zero predictor's, with a factor of 100."""
    divergence = Divergence(zero_loss=1.0, factor=100.0)
    for loss in losses:
        divergence.see(loss)
    return divergence


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ([1.0] * 12 + [math.inf, 1.0], 12),
        ([1.0, math.nan], 1),
        ([2650.0 * 0.8**step for step in range(40)], None),  # far off, and learns
        ([2650.0] * 40, None),  # far off, and learns nothing
        ([1.0] * 12 + [1e6] + [1.0] * 12, None),  # a spike
        ([1.0] * 12 + [1e6] * 4 + [1.0] * 12, None),
        ([1.0] * 12 + [150.0] * 5 + [1.0] * 12, None),  # half of ten: the median is 75.5
        ([1.0] * 12 + [150.0] * 40, 17),
        ([1.0] + [1e6] * 40, 9),  # not before the tenth
        ([1.0] + [1e6] * 8, None),
        ([2650.0] * 3 + [1.0] * 20 + [150.0] * 40, 28),  # far off, learned, and lost it again
        ([2650.0] * 3 + [5.0] * 20 + [450.0] * 40, None),  # within 100 of what it had reached
        ([2650.0] * 3 + [1.0] * 4 + [900.0] * 40, None),  # four low losses are no level
        (THROWN_UP_AND_DOWN, None),
    ],
)
def test_what_diverges(losses: list[float], step: int | None) -> None:
    assert judged(*losses).step == step


def test_losses_count_in_units_of_the_zero_predictors() -> None:
    for loss, step in ((99 * 7.0, None), (101 * 7.0, 9)):
        divergence = Divergence(zero_loss=7.0, factor=100.0)
        for each in [1.0] + [loss] * 9:
            divergence.see(each)
        assert divergence.step == step


def test_divergence_says_what_happened() -> None:
    assert judged(1.0, math.inf).because == NOT_FINITE
    exploded = "its loss exploded: its median over 10 steps was 265, and the zero predictor's loss is 1"
    assert judged(1.0, *[265.0] * 9).because == exploded
    assert judged(*[1.0] * 20).because is None


def test_a_judge_goes_on_from_its_state() -> None:
    """Whatever was seen before the state was taken; after divergence nothing changes."""
    losses = [2650.0] * 3 + [1.0] * 9 + [150.0] * 9
    whole = judged(*losses)
    assert whole.step == 17
    for split in range(len(losses) + 1):
        resumed = judged()
        resumed.restore(judged(*losses[:split]).state())
        for loss in losses[split:]:
            resumed.see(loss)
        assert resumed.state() == whole.state()


def test_a_network_that_starts_far_off_is_trained_to_the_end(tmp_path) -> None:
    composed = compose_config(*NORM_FREE, *FAR_OFF, "trainer.max_steps=12", "instrument=[]", "evaluator=[]")
    trial = run_composed(composed, tmp_path)
    content = trial.record.read()
    first = float((trial.record.folder / "history.csv").read_text().splitlines()[1].split(",")[2])
    assert first > 100 * zero_loss(build(composed.config))
    assert (content["status"], content["step"], content["diverged_step"]) == ("done", 12, None)


EXPLODING = ("optimizer.lr=100", "trainer.max_steps=30", "instrument=[]")
EVERY_FOUR = "run.checkpoint_every_steps=4"


@pytest.fixture(scope="module")
def exploded(tmp_path_factory):
    """A trial whose losses are finite and explode from its second step on."""
    runs_dir = tmp_path_factory.mktemp("exploded")
    trial = run_composed(compose_config(*TINY, *EXPLODING, "run.log_every_steps=1", EVERY_FOUR), runs_dir)
    content = trial.record.read()
    assert (content["status"], content["step"], content["diverged_step"]) == ("diverged", 10, 9)
    assert content["diverged_because"].startswith("its loss exploded: its median over 10 steps was ")
    return trial.record


def how_it_ended(record: Record) -> tuple:
    content = record.read()
    history = read_table(record.folder, HISTORY, {}).rows.to_numpy().tolist()
    return content["status"], content["step"], content["diverged_step"], content["diverged_because"], history


@pytest.mark.parametrize("log_every_steps", [3, 10, 1000])
def test_the_end_does_not_depend_on_how_often_losses_are_fetched(log_every_steps: int, exploded, run, tmp_path) -> None:
    """Steps that were made before the losses were fetched don't count, and aren't in the history."""
    trial = run(tmp_path, *EXPLODING, f"run.log_every_steps={log_every_steps}", "run.checkpoint_every_steps=1000")
    assert how_it_ended(trial.record) == how_it_ended(exploded)


def test_a_resumed_trial_diverges_at_the_same_step(exploded) -> None:
    """Killed before the record said so; the checkpoint holds the losses that are judged together with later ones."""
    before = how_it_ended(exploded)
    assert [path.name for path in exploded.checkpoints.iterdir()] == ["step=8.ckpt"]
    exploded.update(status="running", step=0, diverged_step=None, diverged_because=None)
    again = run_composed(compose_config(*TINY, *EXPLODING, EVERY_FOUR), exploded.runs_dir)
    assert again.outcome.action == "resumed"
    assert how_it_ended(exploded) == before


@pytest.mark.parametrize(
    ("update", "why"), [(OVERFLOW, WEIGHTS), (("optimizer.lr=1e15",), OUTPUTS)], ids=["weights", "outputs"]
)
@pytest.mark.parametrize("task", [(), CLASSIFIER], ids=["denoising", "classification"])
def test_a_network_that_explodes_in_its_last_update_has_diverged(task, update, why: str, run, tmp_path) -> None:
    trial = run(tmp_path, ONE_STEP, *update, *task)
    content = trial.record.read()
    assert (trial.outcome.status, content["status"], content["error"]) == ("diverged", "diverged", None)
    assert (content["step"], content["diverged_step"], content["diverged_because"]) == (1, 0, why)
    assert trial.outcome.note == why
    assert not trial.record.weights.exists()
    assert run(tmp_path, ONE_STEP, *update, *task).outcome.action == "already done"


def test_several_ranks_end_alike(run, tmp_path) -> None:
    trial = run(tmp_path, ONE_STEP, *OVERFLOW, "trainer=ddp", "trainer.devices=1")
    assert trial.record.read()["diverged_because"] == WEIGHTS


@pytest.mark.parametrize("option", options("instrument"))
def test_what_looks_into_an_exploded_network_lets_it_diverge(option: str, tmp_path) -> None:
    """Losses are fetched every few steps, so instruments see steps of a network that has long exploded."""
    words = ("evaluator=[]", f"instrument=[{option}]", "optimizer.lr=1e6", "run.log_every_steps=6")
    composed = compose_config(*TINY, *words)
    node = composed.config.instrument[option]
    if "every_n_steps" in node:
        node.every_n_steps = 2  # the least that suits all
    assert run_composed(composed, tmp_path).record.read()["diverged_because"] == NOT_FINITE


def test_a_sound_network_ends_without_a_reason(finished) -> None:
    content = finished.record.read()
    assert (content["diverged_step"], content["diverged_because"], content["missing"]) == (None, None, {})


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_looking_at_the_last_update_changes_nothing(norm: str) -> None:
    config = compose_config(*NORM_FREE, *CLASSIFIER, f"norm={norm}").config
    parts = build(config)
    before = {name: value.clone() for name, value in parts.model.state_dict().items()}
    assert end_of_training(parts, judged()) == TrainingEnd(6)
    assert all(torch.equal(value, before[name]) for name, value in parts.model.state_dict().items())
    assert not any(module.training for module in parts.model.modules())


def test_running_averages_of_a_few_steps_are_no_divergence() -> None:
    """The loss is looked at as in training; stale averages may make it as large as they like in evaluation mode."""
    config = compose_config(*NORM_FREE, *CLASSIFIER, "norm=batch").config
    parts = build(config)
    averages = [buffer for name, buffer in parts.model.named_buffers() if name.endswith("running_var")]
    for average in averages:
        average.zero_()
    images, labels = parts.data.train.first(16)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(parts.model.eval()(images), labels).item()
    assert judged(1.0, *[loss] * 9).step is not None
    assert end_of_training(parts, divergence_of(parts, [1.0] * 9)).diverged_because is None
    averages[0].fill_(torch.inf)
    assert end_of_training(parts, divergence_of(parts)).diverged_because == WEIGHTS


def test_the_loss_after_the_last_update_is_judged_with_those_before_it() -> None:
    """A network whose output is constant has a loss of known size."""
    parts = build(compose_config(*TINY).config)
    zero = zero_loss(parts)
    exploding = [zero] * 5 + [1e4 * zero] * 4
    for above, before, diverges in (
        (90, exploding, False),  # the median of the ten is then 45
        (210, exploding, True),  # 105
        (1e6, [zero] * 9, False),  # a spike
        (1e6, [1e4 * zero] * 8, False),  # not ten losses yet
    ):
        with torch.no_grad():
            parts.model.head[-1].weight.zero_()
            # noise has variance one, so a constant c adds c^2 to the loss of 0
            parts.model.head[-1].bias.fill_(math.sqrt((above - 1) * zero))
        end = end_of_training(parts, divergence_of(parts, before))
        assert end.diverged_step == (5 if diverges else None)
        assert (end.diverged_because or "").startswith("its loss exploded") == diverges


def test_a_loss_after_the_last_update_that_overflows_says_so() -> None:
    parts = build(compose_config(*TINY).config)
    with torch.no_grad():
        parts.model.head[-1].weight.zero_()
        parts.model.head[-1].bias.fill_(1e30)  # its square is no float32
    assert end_of_training(parts, divergence_of(parts)) == TrainingEnd(6, 5, LOSS)


@pytest.mark.parametrize("connection", ["stochastic_depth", "dropout_shortcut"])
def test_the_global_random_state_has_no_say_in_the_end(connection: str) -> None:
    """Left to it, a random network would end above the bound under half of the states."""
    config = compose_config(*TINY, f"connection={connection}").config
    parts = build(config)
    drawn = parts.objective.draw(*parts.data.train.first(config.batch_size), keyed_generator(0, "last update"))
    losses = {}
    for state in range(6):
        torch.manual_seed(state)
        with torch.no_grad():
            losses[state] = parts.objective.loss_of(parts.model.train(), drawn).double().mean().item()
    bound = statistics.median(losses.values())
    assert min(losses.values()) < bound < max(losses.values())
    ends = []
    for state in losses:
        torch.manual_seed(state)
        divergence = Divergence(zero_loss=bound, factor=1.0)
        for loss in [0.0] * 4 + [bound] + [2 * bound] * 4:  # so the last loss decides
            divergence.see(loss)
        ends.append(end_of_training(parts, divergence))
    assert all(end == ends[0] for end in ends)


def test_what_observes_a_trial_has_no_say_in_its_end(run, tmp_path) -> None:
    overrides = (ONE_STEP, "optimizer.lr=1e15")
    first = run(tmp_path / "a", *overrides, "eval_batch.num_images=1", "eval_batch.num_levels=1", "instrument=[]")
    other = run(tmp_path / "b", *overrides, "eval_batch.num_images=40", "evaluator=[baselines]")
    assert first.record.key == other.record.key
    assert first.record.read()["diverged_because"] == other.record.read()["diverged_because"] == OUTPUTS


def test_weights_that_were_saved_before_the_end_was_known_are_looked_at(run, tmp_path, monkeypatch, capsys) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(measure, "summarize", lambda *_, **__: 1 / 0)
        with pytest.raises(SkiplabError, match="division by zero"):
            run(tmp_path)
    (path,) = tmp_path.glob("*/weights.safetensors")
    weights = load_file(path)
    weights["stem.weight"][0] = torch.nan
    save_file(weights, path)
    record = Record(tmp_path, path.parent.name)
    trained = record.read()["trained"]
    record.update(trained=trained | {"weights": hashlib.sha256(path.read_bytes()).hexdigest()})  # else they'd be torn
    content = run(tmp_path).record.read()
    assert (content["status"], content["diverged_step"], content["diverged_because"]) == ("diverged", 5, WEIGHTS)


def overflowing(monkeypatch, sample: float = math.inf) -> None:
    """Samples of which one isn't a number; no step of the sampler shows it."""
    draw = "skiplab.samplers.sampler.Sampler.denoise_along"
    monkeypatch.setattr(draw, lambda self, path, x, *_: x.index_fill(0, torch.tensor([0]), sample))


def test_samples_that_overflow_leave_the_trial_done(run, tmp_path, monkeypatch, capsys) -> None:
    overflowing(monkeypatch)
    trial = run(tmp_path, "evaluator=[denoising_loss,frechet_distance,sample_grid]")
    content = trial.record.read()
    assert (trial.outcome.status, content["status"], content["error"]) == ("done", "done", None)
    assert content["missing"] == {"frechet_distance": "1 of 32 samples aren't finite numbers"}
    assert {"loss_val", "skill_val"} <= content["summary"].keys()
    assert "frechet_distance" not in content["summary"]
    assert "frechet_distance" in content["metrics"]
    assert trial.outcome.note == "no frechet_distance: 1 of 32 samples aren't finite numbers"
    assert (trial.record.folder / "samples.png").exists()
    assert run(tmp_path, "evaluator=[denoising_loss,frechet_distance,sample_grid]").outcome.action == "already done"


def test_the_command_says_what_is_missing(tmp_path, monkeypatch, capsys) -> None:
    overflowing(monkeypatch)
    main(["train", *TINY, "evaluator=[frechet_distance]", f"run.runs_dir={tmp_path}"])
    assert "done. no frechet_distance: 1 of 32 samples aren't finite numbers\n" in capsys.readouterr().out


def test_a_number_that_is_measured_again_takes_the_place_of_its_reason(run, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patched:
        overflowing(patched)
        folder = run(
            tmp_path, "evaluator=[frechet_distance,kernel_distance]", "evaluator.kernel_distance.subset_size=8"
        ).record.folder
    record = run(
        tmp_path, "evaluator=[frechet_distance,kernel_distance]", "evaluator.kernel_distance.subset_size=8"
    ).record
    assert record.read()["missing"].keys() == {"frechet_distance", "kernel_distance"}
    evaluate_record(folder, ["evaluator=[frechet_distance]", "num_samples=16"], None)
    assert record.read()["missing"].keys() == {"kernel_distance"}
    assert record.read()["summary"]["frechet_distance"] > 0
    overflowing(monkeypatch)
    evaluate_record(folder, ["evaluator=[frechet_distance]", "num_samples=24"], None)
    assert record.read()["missing"]["frechet_distance"] == "1 of 24 samples aren't finite numbers"
    assert "frechet_distance" not in record.read()["summary"]


def test_a_mistake_in_an_evaluator_still_fails_the_trial(run, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(FrechetDistance, "evaluate", lambda self, trained: Result({"frechet_distance": 1 / 0}))
    with pytest.raises(SkiplabError, match="division by zero"):
        run(tmp_path, "evaluator=[frechet_distance]")


def test_a_trial_without_a_number_stays_in_the_comparison(run, tmp_path, monkeypatch) -> None:
    found = DenoisingLoss.evaluate

    def evaluate(self, trained) -> Result:
        if trained.seed == 1:
            raise UnmeasurableError("the network is seed 1's")
        return found(self, trained)

    monkeypatch.setattr(DenoisingLoss, "evaluate", evaluate)
    for seed in (0, 1):
        for arm in ("plain", "identity"):
            run(tmp_path, f"connection={arm}", f"seed={seed}", "instrument=[]")
    arms = {"factor": "connection", "control": "plain", "treatment": "identity"}
    paired = compute_contrast(
        read_study("default", tmp_path), Contrast(metric="loss_val", kind="difference", **arms), {}
    )
    assert paired.states["plain"] == {"measured": 1, "not finite": 1}
    assert paired.survivors_only
