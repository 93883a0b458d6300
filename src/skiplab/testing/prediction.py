"""The contract of a prediction."""

from collections.abc import Callable

import torch

from skiplab.objectives.prediction import Prediction
from skiplab.testing.rules import draw, global_generator_untouched, named, require

# alpha and sigma of both usual kinds of schedule, from nearly clean to nearly noise
_TIMES = torch.tensor([0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99], dtype=torch.float64)
_LEVELS = {
    "alpha^2 + sigma^2 = 1": ((_TIMES * torch.pi / 2).cos(), (_TIMES * torch.pi / 2).sin()),
    "alpha + sigma = 1": (1 - _TIMES, _TIMES),
}


def check_prediction(make: Callable[[], Prediction]) -> None:
    """Check the contract of a prediction, from nearly clean to nearly pure noise.

    `coefficients` and `input_scale` are finite and have the shape of alpha; the scale is positive. `solve` recovers
    clean input and noise from `target`, to 1e-6 in float64. No global random state is used.

    Args:
        make: builds the prediction, such as the class.

    Raises:
        AssertionError: if a rule of the contract is broken; the message names the rule.
    """
    prediction = make()
    require(
        isinstance(prediction, Prediction),
        f"{type(prediction).__name__} is not a subclass of Prediction",
    )
    for kind, levels in _LEVELS.items():
        with named(f"where {kind}"), global_generator_untouched("it"):
            alpha, sigma = (part.view(-1, 1, 1, 1) for part in levels)
            for name, value in zip("ab", prediction.coefficients(alpha, sigma), strict=True):
                same = value.shape == alpha.shape and bool(value.isfinite().all())
                require(same, f"coefficient {name} isn't finite or doesn't have the shape of alpha")
            scale = prediction.input_scale(alpha, sigma)
            positive = scale.shape == alpha.shape and bool((scale.isfinite() & (scale > 0)).all())
            require(positive, "input_scale isn't positive or doesn't have the shape of alpha")
            x0, noise = (draw(name, len(_TIMES), 2, 3, 3).double() for name in ("x0", "noise"))
            target = prediction.target(x0, noise, alpha, sigma)
            found = prediction.solve(target, alpha * x0 + sigma * noise, alpha, sigma)
            for name, part, true in (("x0", found.x0, x0), ("noise", found.noise, noise)):
                require(torch.allclose(part, true, atol=1e-6), f"solve doesn't recover {name} from its own target")
