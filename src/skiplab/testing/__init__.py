"""The contracts of options, one check each, to be called from a test of a user's own option.

from skiplab.testing import check_connection

def test_halving():
    check_connection(lambda spec: Halving(spec, factor=0.5))

Each takes what makes the option, and raises AssertionError with a sentence that says which rule is broken.
"""

from skiplab.testing.backbone import check_backbone
from skiplab.testing.branch import check_branch
from skiplab.testing.connection import check_connection
from skiplab.testing.dataset import check_dataset
from skiplab.testing.evaluator import check_evaluator
from skiplab.testing.instrument import check_instrument
from skiplab.testing.long_skip import check_long_skip
from skiplab.testing.noise_schedule import check_noise_schedule
from skiplab.testing.norm import check_norm
from skiplab.testing.prediction import check_prediction
from skiplab.testing.sampler import check_sampler
from skiplab.testing.shortcut import check_shortcut

__all__ = [
    "check_backbone",
    "check_branch",
    "check_connection",
    "check_dataset",
    "check_evaluator",
    "check_instrument",
    "check_long_skip",
    "check_noise_schedule",
    "check_norm",
    "check_prediction",
    "check_sampler",
    "check_shortcut",
]
