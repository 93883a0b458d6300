from skiplab.errors import SkiplabError
from skiplab.training.weight_average import WeightAverage


class EMA(WeightAverage):
    """The exponential moving average of the weights, m_t = d_t m_{t-1} + (1 - d_t) w_t, is judged, not the last ones.

    d_t = decay, or with a warm-up d_t = min(decay, (1 + t) / (10 + t)).

    Source: Ho et al. 2020, Denoising Diffusion Probabilistic Models, arXiv:2006.11239, appendix B (decay 0.9999, from
        memory); the warm-up: TensorFlow's tf.train.ExponentialMovingAverage with num_updates (from memory).
    Differs from the source: the decay, since trials here are shorter; running averages of batch norm are averaged, too.

    Args:
        decay: d, above 0 and below 1; weights of about 1 / (1 - d) steps count.
        warmup: whether d_t is smaller at first.

    Raises:
        SkiplabError: if decay is out of range.
    """

    def __init__(self, *, decay: float, warmup: bool) -> None:
        super().__init__()
        if not 0 < decay < 1:
            raise SkiplabError(
                f"weight_average.decay={decay} is invalid; valid: a number above 0 and below 1, such as 0.999"
            )
        self.decay, self.warmup = decay, warmup

    def share(self, step: int) -> float:
        return 1 - (min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay)
