"""tuned.yaml is read as it was written, and what is no such file is refused."""

from dataclasses import replace

import pytest

from skiplab.errors import SkiplabError
from skiplab.records.tuned import RATE, Combination, Tuned, Window, read_tuned, write_tuned
from skiplab.records.tuned_budget import budget_text

CHOSEN = {"plain": 6.3e-05, "identity": 0.002}
RATES = (1e-05, 6.3e-05, 0.0004, 0.002, 0.01)


def example(seeds=(9001, 9002)) -> Tuned:
    """Two arms at two depths, one of whose bests is at an edge."""
    return Tuned(
        study="mine_tuning",
        preset="mine",
        overrides=("data=digits",),
        also=("trainer.gradient_clip_norm=null,1",),
        metric="skill_train",
        label="skill on training images",
        direction="higher",
        seeds=seeds,
        rates=RATES,
        widenings=2,
        shared={"width": 16, "trainer.max_steps": 100, "data": "digits"},
        combinations=tuple(
            Combination(
                factors={"connection": arm, "depth": depth},
                tried={"trainer.gradient_clip_norm": [None, 1]},
                best={RATE: rate, "trainer.gradient_clip_norm": None},
                value=0.5,
                edge="lowest" if (arm, depth) == ("plain", 8) else "inside",
                window=Window(lowest=rate, highest=rate * 10, at_least=False),
                curve={each: [0.5 if each == rate else 0.1] * len(seeds) for each in RATES},
                diverged=(0.01,),
            )
            for depth in (4, 8)
            for arm, rate in CHOSEN.items()
        ),
    )


def factors(**changed) -> dict:
    own = {
        "depth": 4,
        "seed": 0,
        "width": 16,
        "trainer.max_steps": 100,
        "trainer.gradient_clip_norm": None,
        RATE: 0.002,
    }
    return own | changed


def test_what_is_written_is_read(tmp_path) -> None:
    path = tmp_path / "tuned.yaml"
    path.write_text(write_tuned(example()))
    assert read_tuned(path) == example()


def test_the_budget_counts_rates_and_further_settings() -> None:
    assert budget_text(5, example().combinations) == "5 rates × 2 gradient_clip_norm"


def combination(arm: str, depth: int, **tried: list) -> Combination:
    best = {RATE: 0.1, **{name: values[0] for name, values in tried.items()}}
    window = Window(lowest=0.1, highest=0.1, at_least=False)
    return Combination(
        factors={"connection": arm, "depth": depth}, tried=tried, best=best, value=0.5, edge="inside", window=window,
        curve={0.1: [0.5]}, diverged=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("plain", "others", "text"),
    [
        ({}, {}, "5 rates"),
        ({"init": ["a", "b"]}, {"init": ["a", "b"]}, "5 rates × 2 init"),
        ({"init": ["a", "b"]}, {"init": ["a", "c"]}, "5 rates × 2 init, values by connection"),
        ({"init": ["a", "b"]}, {"x.y": [1, 2]}, "5 rates × 2 init for plain and 5 rates × 2 y for identity, rezero"),
        (
            {"init": ["a", "b"]},
            {},
            "unequal budgets: 5 rates × 2 init for plain and 5 rates for identity, rezero",
        ),
        (
            {"init": ["a", "b", "c"]},
            {"init": ["a", "b"]},
            "unequal budgets: 5 rates × 3 init for plain and 5 rates × 2 init for identity, rezero",
        ),
    ],
)
def test_the_budget_says_where_arms_tried_something_else_or_more(plain, others, text) -> None:
    given = {"plain": plain, "identity": others, "rezero": others}
    assert budget_text(5, [combination(arm, depth, **own) for depth in (4, 8) for arm, own in given.items()]) == text


def test_the_budget_of_two_arms_does_not_depend_on_a_third() -> None:
    equal = [combination(arm, 4, init=["a", "b"]) for arm in ("plain", "identity")]
    assert budget_text(5, equal) == "5 rates × 2 init"
    assert budget_text(5, [*equal, combination("rezero", 4)]).startswith("unequal budgets: ")


def test_a_setting_of_a_tuned_option_was_tuned_with_it() -> None:
    tuned = replace(example(), combinations=(combination("plain", 4, init=["he", "fixup"]),))
    assert [name for name in ("init", "init.gain", RATE, "optimizer", "inits") if tuned.sets(name)] == [
        "init",
        "init.gain",
        RATE,
    ]


def test_a_window_is_as_wide_as_its_decades() -> None:
    assert Window(lowest=0.01, highest=1.0, at_least=False).decades == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("choices", "own", "follows"),
    [
        ({"connection": "identity"}, factors(), True),
        ({"connection": "identity"}, factors(depth=4.0), True),
        ({"connection": "plain"}, factors(), False),  # has the rate of the other arm
        ({"connection": "plain"}, factors(**{RATE: 6.3e-05}), True),
        ({"connection": "identity"}, factors(depth=16), False),  # wasn't tuned
        ({"connection": "identity"}, factors(seed=9001), False),  # was used to tune
        ({"connection": "identity"}, factors(**{"trainer.gradient_clip_norm": 1}), False),
    ],
)
def test_a_trial_follows_only_with_exactly_what_was_chosen_for_it(choices, own, follows) -> None:
    assert example().followed_by(choices, own) is follows


def test_departures_name_what_was_otherwise_when_it_was_tuned() -> None:
    assert example().departures({"data": "digits"}, factors()) == {}
    assert example().departures({"data": "patches"}, factors(width=32)) == {"data": "digits", "width": 16}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "can't read"),
        ("[", "is not valid YAML"),
        ("- 1", "is not a result of `skiplab tune`"),
        ("study: s", "it lacks 'combinations'"),
        (write_tuned(example()).replace("connection: plain, depth: 8", "depth: 8"), "different factors"),
        (write_tuned(example()).replace("metric:", "metrik:"), "metrik"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, text, reason) -> None:
    path = tmp_path / "tuned.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SkiplabError, match="skiplab tune PRESET") as refused:
        read_tuned(path)
    assert reason in str(refused.value)
