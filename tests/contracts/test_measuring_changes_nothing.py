"""Any instrument on or off: the weights are bit-equal, with randomness inside the model too.

All of them measure at once; under `slow`, each alone too, which tells which of them it was.
"""

import pytest
import torch
from dropout_connection import NODE
from safetensors.torch import load_file

from option_files import options
from tiny_trials import TINY, compose_config, run_composed

EVERY = options("instrument")


PRECISIONS = ["32-true", "bf16-mixed"]


def weights(runs_dir, instruments: list[str], precision: str, num_steps: int = 6) -> dict[str, torch.Tensor]:
    composed = compose_config(
        *TINY,
        f"instrument=[{','.join(instruments)}]",
        f"trainer.precision={precision}",
        f"trainer.max_steps={num_steps}",
        "run.checkpoint_every_steps=6",
        "evaluator=[]",
    )
    composed.config.connection = NODE
    for instrument in composed.config.instrument.values():
        if "every_n_steps" in instrument:
            instrument.every_n_steps = 2  # the least that suits all
    return load_file(run_composed(composed, runs_dir).record.weights)


@pytest.fixture(scope="module", params=PRECISIONS)
def without(request, tmp_path_factory) -> tuple[str, dict[str, torch.Tensor]]:
    """A precision, and the weights of a trial that nothing measured."""
    return request.param, weights(tmp_path_factory.mktemp("without"), [], request.param)


@pytest.mark.parametrize(
    "instruments", [EVERY, *(pytest.param([name], marks=pytest.mark.slow) for name in EVERY)], ids="+".join
)
def test_weights_are_bit_equal_after_6_steps(instruments: list[str], without, tmp_path) -> None:
    precision, expected = without
    found = weights(tmp_path, instruments, precision)
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert torch.equal(value, expected[name]), name


def test_other_training_gives_other_weights(without, tmp_path) -> None:
    """The comparison above can fail."""
    precision, expected = without
    other = weights(tmp_path, [], precision, num_steps=5)
    assert not torch.equal(other["stem.weight"], expected["stem.weight"])


def test_a_measured_step_leaves_the_global_generator_alone(run, tmp_path) -> None:
    torch.manual_seed(123)
    states = []
    for instruments in ("[gradient_flow,update_ratio]", "[update_ratio]"):
        run(tmp_path, f"instrument={instruments}", "run.rerun=true")
        states.append(torch.get_rng_state())
    assert torch.equal(*states)
