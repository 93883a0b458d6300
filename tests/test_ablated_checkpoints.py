"""What experiments/ablated_checkpoints says of its checkpoints follows from its published numbers."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skiplab.analysis.claims.claims_file import read_claims

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "experiments" / "ablated_checkpoints"
FOLDER = HERE / "digits"


@pytest.fixture(scope="module")
def losses() -> pd.DataFrame:
    """The losses of each arm, a row for each seed."""
    trials = pd.read_csv(FOLDER / "trials.csv")
    return trials.pivot(index="seed", columns="shortcuts", values="loss_val")


def test_every_arm_begins_as_the_checkpoint_that_it_is(losses: pd.DataFrame) -> None:
    curves = pd.read_csv(FOLDER / "curves.csv").pivot(index=["seed", "step"], columns="shortcuts", values="loss_val")
    first, last = curves.xs(0, level="step"), curves.groupby("seed").last()
    for arm, begins_as in (("untouched", "checkpoint"), ("faded", "checkpoint"), ("removed_then_tuned", "removed")):
        assert first[arm].tolist() == pytest.approx(losses[begins_as].tolist(), rel=1e-6)
        assert last[arm].tolist() == losses[arm].tolist()


def test_early_and_late_are_geometric_means_over_single_shortcuts(losses: pd.DataFrame) -> None:
    rows = pd.read_csv(FOLDER / "removed_shortcuts.csv")
    rows = rows[(rows["part"] == "all") & (rows["shortcut"] >= 0)]
    half = rows["shortcut"].nunique() // 2
    for change, factor in (("removed", 0), ("halved", 0.5)):
        own = rows[rows["factor"] == factor]
        for arm, chosen in (("early", own["shortcut"] < half), ("late", own["shortcut"] >= half)):
            expected = np.exp(np.log(own[chosen]["value"]).groupby(own["seed"]).mean())
            assert losses[f"{arm}_{change}"].tolist() == pytest.approx(expected.tolist(), rel=1e-6)


def test_the_readme_says_what_the_verdicts_say() -> None:
    readme = " ".join((HERE / "README.md").read_text(encoding="utf-8").split())
    texts = {claim.name: claim.text for claim in read_claims(FOLDER / "claims.yaml").claims}
    verdicts = pd.read_csv(FOLDER / "verdicts.csv").drop_duplicates("claim")
    assert set(verdicts["claim"]) == set(texts)
    for row in verdicts.itertuples():
        assert f"{texts[row.claim]} **{row.claim_conclusion}" in readme


def test_the_published_numbers_agree_with_the_second_computation(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "recheck"))
    spec = importlib.util.spec_from_file_location("recheck_of_checkpoints", ROOT / "tests" / "recheck" / "recheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    differences, num_trials, num_claims = module.recheck(FOLDER)
    assert differences.found == []
    assert differences.compared > 100
    assert num_trials == len(pd.read_csv(FOLDER / "trials.csv"))
    assert num_claims == len(read_claims(FOLDER / "claims.yaml").claims)
