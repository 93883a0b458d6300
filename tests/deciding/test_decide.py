"""A ladder over planted trials trains what its open tests need, and nothing else."""

from pathlib import Path

import pytest

from planted_ladder import CLAIMS, Planted, Trained, decide, write_tuning
from skiplab.deciding import decide as deciding
from skiplab.records.study_list import study_names

pytestmark = pytest.mark.usefixtures("undrawn")

FIRST, ALL = [201, 202, 203], list(range(201, 211))
SLOPE = """\
factor: connection
control: plain
treatment: identity
looks: [3, 5]
claims:
  - name: degradation
    text: t
    arm: plain
    metric: skill_train
    contrast: slope
    over: depth
    direction: lower
    smallest_effect: 0.02
    evidence: [{metric: skill_train, contrast: difference, direction: higher, smallest_effect: 0.05}]
"""
STUDY = "residual_in_diffusion_quick"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def without_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page takes longer than the ladder."""
    monkeypatch.setattr(deciding, "report_command", lambda *_: [])
    monkeypatch.setattr(deciding, "closing", lambda *_: "the end")


def apart_without_long_skips(trial: Trained, noise: float) -> float:
    """The arms are clearly apart in one cell, and hardly in the other."""
    effect, spread = (0.3, 0.001) if trial.long_skip == "none" else (0.06, 0.028)
    return 0.5 + (effect + spread * noise if trial.arm == "identity" else 0.0)


def test_a_cell_that_is_decided_gets_no_more_seeds(planted: Planted, tmp_path: Path) -> None:
    planted.skill = apart_without_long_skips
    ended = decide(tmp_path)
    assert ended.code == 0, ended.text
    for arm in ("plain", "identity"):
        assert planted.seeds(arm=arm, long_skip="none") == FIRST
        assert planted.seeds(arm=arm, long_skip="concat") == ALL
    lines = ended.text.splitlines()
    assert "looks: at 3, 5, 10 seeds, from seed 201 up to 210" in lines
    assert "to come: at most 40 trials, time unknown until one is done" in lines
    assert "after look 1 of 3, at 3 seeds: 1 of 2 tests decided, 1 going on" in lines
    (line,) = (line for line in lines if line.startswith("  goes on: ") and "at 3 seeds" in line)
    assert line == (
        "  goes on: better, long_skip concat: +0.061 [-0.010, 0.132] at 3 seeds, smallest effect 0.02; "
        "4 to 27 seeds would decide"
    )
    assert "next: look 2 of 3, at 5 seeds: 4 trials, about 60 s, for 2 combinations of arm and cell" in lines
    assert "  connection=plain long_skip=concat; connection=identity long_skip=concat" in lines
    assert "supported in 2 of 2 cells" in ended.text
    assert "2 of 2 tests decided by 26 trials; 10 seeds of everything would have taken 40" in lines


def test_trials_that_another_study_alone_has_are_not_counted(planted: Planted, tmp_path: Path) -> None:
    planted.skill = apart_without_long_skips
    decide(tmp_path, "run.study=other", claims=CLAIMS.replace("[3, 5, 10]", "[4, 5]"))
    assert planted.seeds(arm="plain", long_skip="none") == [*FIRST, 204]
    ended = decide(tmp_path, "run.study=own")
    assert "2 of 2 tests decided by 26 trials; 10 seeds of everything would have taken 40" in ended.text


@pytest.mark.usefixtures("without_report")
def test_a_slope_needs_all_depths_of_its_arm_and_evidence_needs_nothing(planted: Planted, tmp_path: Path) -> None:
    planted.skill = lambda trial, noise: 0.5 - (0.06 + 0.02 * noise) * (trial.depth == 8) + 0.05 * noise
    grid = ("depth=4,8", "long_skip=none")
    planted.stop_after = 14  # in the second look
    interrupted = decide(tmp_path, *grid, claims=SLOPE)
    assert interrupted.code == 128 + 15
    assert "run the same command again to continue" in interrupted.text
    assert len(planted.trained) == 14

    planted.stop_after = None
    ended = decide(tmp_path, *grid, claims=SLOPE)
    assert ended.code == 0, ended.text
    for depth in (4, 8):
        assert planted.seeds(arm="plain", depth=depth) == [201, 202, 203, 204, 205]
        assert planted.seeds(arm="identity", depth=depth) == FIRST
    assert "look 2 of 2, at 5 seeds: 2 trials" in ended.text

    before = list(planted.trained)
    again = decide(tmp_path, *grid, claims=SLOPE)
    assert planted.trained == before
    assert "nothing is left to train" in again.text


@pytest.mark.usefixtures("without_report")
def test_a_ladder_stops_at_its_limits_and_goes_on_from_there(planted: Planted, tmp_path: Path) -> None:
    planted.skill = apart_without_long_skips
    planted.seconds = 3600.0
    cell = "long_skip=concat"
    dry = decide(tmp_path, cell, "--dry-run")
    assert dry.code == 0, dry.text
    assert "to come: at most 20 trials" in dry.text
    assert " FLOPs to train them" in dry.text
    assert not (tmp_path / "runs").exists()

    short = decide(tmp_path, cell, "--budget", "30min")
    assert planted.seeds(arm="plain") == FIRST
    assert "the budget can't be compared with this look, because no trial is done" in short.text
    assert "stopped before look 2 of 3, at 5 seeds: it takes about 60 min, more than the 30 min" in short.text
    assert "that are left of the budget; to go on, run the command again with a larger --budget" in short.text

    limited = decide(tmp_path, cell, "--max-seeds", "5")
    assert planted.seeds(arm="plain") == [201, 202, 203, 204, 205]
    assert "looks: at 3, 5 seeds, from seed 201 up to 205; --max-seeds leaves out 10" in limited.text
    assert "its next look, at 10 seeds, is above --max-seeds; to go on to 10 seeds would take 10 trials" in limited.text

    whole = decide(tmp_path, cell)
    assert planted.seeds(arm="plain") == planted.seeds(arm="identity") == ALL
    assert "note:" not in whole.text  # the claims were registered before the first trial


@pytest.mark.usefixtures("without_report")
def test_a_test_that_no_seeds_can_decide_stops(planted: Planted, tmp_path: Path) -> None:
    """The difference is exactly the smallest effect, and its spread too large for any look."""
    planted.skill = lambda trial, noise: 0.5 + (0.02 + 0.2 * noise if trial.arm == "identity" else 0.0)
    ended = decide(tmp_path, "long_skip=none", claims=CLAIMS.replace("[3, 5, 10]", "[3, 4]"))
    assert planted.seeds(arm="plain") == FIRST
    assert "its chance of a decision by 4 seeds is below 1%" in ended.text
    assert "to go on to 4 seeds would take 2 trials, about 60 s" in ended.text


@pytest.mark.usefixtures("without_report")
def test_a_study_is_continued_where_it_is(planted: Planted, tmp_path: Path) -> None:
    """With the arms and cells that it has, of those that its preset sweeps."""
    planted.skill = apart_without_long_skips
    decide(tmp_path, "long_skip=concat", "--max-seeds", "3")
    own = [word for word in ("logger=none", "width=8", "norm.num_groups=4", "batch_size=16") if word]
    tiny = [*own, "trainer.max_steps=6", "eval_batch.num_images=16", "eval_batch.num_levels=2", "num_samples=32"]
    kept = ["run.checkpoint_every_steps=2", "run.log_every_steps=2"]
    ended = decide(tmp_path, *tiny, *kept, name=STUDY, claims=None)
    assert ended.code == 0, ended.text
    assert (
        f"2 combinations of arm and cell, those of study {STUDY}, as residual_in_diffusion/quick sweeps" in ended.text
    )
    assert planted.seeds(long_skip="concat", arm="plain") == ALL
    assert not planted.seeds(long_skip="none")
    assert study_names(tmp_path / "runs") == [STUDY]


@pytest.mark.usefixtures("without_report")
def test_trials_of_another_study_join_and_are_not_trained_again(planted: Planted, tmp_path: Path) -> None:
    planted.skill = lambda trial, noise: 0.5 + (0.3 + 0.01 * noise if trial.arm == "identity" else 0.0)
    decide(tmp_path, "long_skip=none", "run.study=one")
    before = list(planted.trained)
    ended = decide(tmp_path, "long_skip=none", "run.study=two")
    assert ended.code == 0, ended.text
    assert planted.trained == before
    assert "after look 1 of 3, at 3 seeds: 1 of 1 tests decided" in ended.text


@pytest.mark.usefixtures("without_report")
def test_the_ladder_of_a_tuned_study_is_climbed_at_its_tuned_settings(planted: Planted, tmp_path: Path) -> None:
    planted.skill = apart_without_long_skips
    tuned = write_tuning(tmp_path / "tuned.yaml", seeds=(9001, 9002))
    first = decide(tmp_path, "long_skip=concat", f"hydra.sweeper.tuned={tuned}", "--max-seeds", "3")
    assert first.code == 0, first.text
    assert planted.seeds(arm="plain") == FIRST
    second = decide(tmp_path, "long_skip=concat", "--max-seeds", "5")  # by the study's own copy
    assert "settings: as tuned in" in second.text
    assert planted.seeds(arm="plain") == [201, 202, 203, 204, 205]
    third = decide(tmp_path, name=STUDY, claims=None)  # from the records, which no preset gives without more words
    assert f"as the records of study {STUDY} have them" in third.text
    assert "after look 2 of 3, at 5 seeds: 0 of 1 tests decided, 1 going on" in third.text
    assert planted.seeds(arm="plain") == planted.seeds(arm="identity") == ALL


@pytest.mark.usefixtures("without_report")
def test_claims_that_came_after_the_first_trial_are_noted(planted: Planted, tmp_path: Path) -> None:
    planted.skill = apart_without_long_skips
    decide(tmp_path, "long_skip=none")
    later = decide(tmp_path, "long_skip=none", claims=CLAIMS.replace("0.02", "0.03"))
    assert "note: exploratory: claims were written after the first trial" in later.text


def test_a_study_that_does_not_exist_yet_takes_all_of_its_presets(tmp_path: Path) -> None:
    ended = decide(tmp_path, "--dry-run", "depth=4", "instrument=[]", name="six_claims_tuned_patches")
    assert ended.code == 0, ended.text
    assert (
        "study six_claims_tuned_patches: 4 combinations of arm and cell, as six_claims/tuned_patches and "
        "six_claims/tuned_patches_frozen sweep them"
    ) in ended.text
    assert "looks: at 3, 5, 10 seeds, from seed 401 up to 410" in ended.text
    assert "to come: at most 40 trials" in ended.text


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("six_claims/tuned_patches", "1 of 6 claims needs trials"),  # evidence on frozen blocks
        ("six_claims/tuned_patches_frozen", "6 of 6 claims need trials"),
        ("six_claims_tuned_patches", None),
    ],
)
def test_a_preset_that_is_a_part_of_its_study_says_so_first(name: str, claims: str | None, tmp_path: Path) -> None:
    six = (ROOT / "experiments" / "six_claims" / "claims.yaml").read_text(encoding="utf-8")
    ended = decide(tmp_path, "--dry-run", "seed=61", name=name, claims=f"{six}\nlooks: [3, 5]\n")
    assert ended.code == 0, ended.text
    notes = [line for line in ended.text.splitlines() if "not run" in line]
    if claims is None:
        assert notes == []
    else:
        (note,) = notes
        assert note.startswith(f"note: {claims} that aren't among these")
        assert "gradient_flow" in note
        assert note.endswith("and `skiplab reproduce six_claims --profile tuned_patches --decide` decides all")


@pytest.mark.usefixtures("without_report")
def test_a_test_whose_trial_failed_stops_and_the_others_go_on(planted: Planted, tmp_path: Path) -> None:
    planted.skill = lambda trial, noise: 0.5 + (0.06 + 0.02 * noise if trial.arm == "identity" else 0.0)
    planted.failing = {Trained("plain", "none", 4, 202)}
    claims = CLAIMS.replace("[3, 5, 10]", "[3, 5]")
    failed = decide(tmp_path, claims=claims)
    assert failed.code == 1
    assert "1 of 12 trials failed" in failed.text
    again = decide(tmp_path, claims=claims)
    assert again.code == 0, again.text
    assert "a trial that it needs failed; run.retry_failed=true tries it again" in again.text
    assert planted.seeds(long_skip="concat", arm="plain") == [201, 202, 203, 204, 205]
    assert planted.seeds(long_skip="none", arm="plain") == FIRST

    planted.failing = set()
    healed = decide(tmp_path, "run.retry_failed=true", claims=claims)
    assert healed.code == 0, healed.text
    assert planted.seeds(long_skip="none", arm="plain") == [201, 202, 202, 203, 204, 205]
