from typing import Any, ClassVar

from torch import Tensor
from torch.nn import functional as F

from skiplab.blocks.block import Join
from skiplab.charts import Chart
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog, geometric_mean
from skiplab.layers import IndexedJoin, Network, watch
from skiplab.metrics import Metric


class UpdateAlignment(Instrument):
    """Size of each update against its stream, and its cosine to the direction in which the loss falls.

    With x the stream before a join, d = x' - x what the join changes in it, and L the loss, means over samples of

        size = |d| / |x|,   alignment = d . (-dL/dx) / (|d| |dL/dx|).

    A block that refines takes a step, small and downhill. In a plain network d is all that the block writes anew less
    what it read: a step too, which the loss's gradient can be compared with. Joins at which the stream changes its
    shape, and connections that remember more than the stream, have no stream to compare with and are left out.

    Source: Jastrzebski et al. 2018, Residual Connections Encourage Iterative Inference, arXiv:1710.04773, section 4.2
        (cosine loss and l2 ratio).
    Differs from the source: in training mode, on the training batch; the gradient is the batch's mean loss's.

    Args:
        every_n_steps: steps between two measurements, from 1.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "update_alignment": Metric(
            label="cosine of updates to the negative loss gradient, mean over joins", direction="higher"
        ),
        "update_size": Metric(
            label="size of updates over their streams, geometric mean over joins", direction=None, scale="log"
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "alignment": Chart(
            title="Do updates go downhill?",
            words="Cosine between what a join changes in its stream and the negative gradient of the loss, from input "
            "(0) to output (1); means over measured steps and seeds. Above 0 the change lowers the loss.",
            kind="lines",
            x="relative position of the join",
            value="cosine to the negative loss gradient",
        ),
        "relative_update": Chart(
            title="Size of each update",
            words="Size of what a join changes in its stream, over the stream's own, from input (0) to output (1); "
            "geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the join",
            value="size of the update over the stream's",
            log=("value",),
        ),
        "stream_rms": Chart(
            title="Size of the stream",
            words="Root mean square of the stream before each join, from input (0) to output (1); geometric means over "
            "measured steps and seeds.",
            kind="lines",
            x="relative position of the join",
            value="RMS of the stream",
            log=("value",),
        ),
    }

    def begin(self, network: Network, step: int) -> None:
        self._joins = network.joins
        self._changes: dict[IndexedJoin, tuple[Tensor, Tensor]] = {}
        self._gradients: dict[IndexedJoin, Tensor] = {}
        self._handles = [watch(place.module, self._watch(place)) for place in network.joins]

    def _watch(self, place: IndexedJoin):
        def keep(gradient: Tensor) -> None:
            self._gradients[place] = gradient.detach()

        def after_forward(join: Join, arguments: tuple[Any, ...], after: Any) -> None:
            before = arguments[0]
            if _is_stream(join, before) and _is_stream(join, after) and before.requires_grad:
                self._changes[place] = (before.detach(), (after - before).detach())
                before.register_hook(keep)

        return after_forward

    def before_update(self, loss_scale: float) -> None:
        for handle in self._handles:
            handle.remove()
        found: dict[str, list[Tensor]] = {"alignment": [], "relative_update": [], "stream_rms": []}
        places = [place for place in self._joins if place in self._gradients]
        for place in places:
            stream, change = (tensor.flatten(1).double() for tensor in self._changes[place])
            gradient = self._gradients[place].flatten(1).double()
            found["alignment"].append(F.cosine_similarity(change, -gradient / loss_scale, dim=1, eps=1e-30).mean())
            found["relative_update"].append((change.norm(dim=1) / stream.norm(dim=1)).mean())
            found["stream_rms"].append(stream.square().mean().sqrt())
        self._changes, self._gradients = {}, {}
        self._readings = [Reading(name, places, values) for name, values in found.items()]

    def after_update(self) -> list[Reading]:
        return self._readings

    def summarise(self, log: TrainingLog) -> dict[str, float]:
        alignments, sizes = log.of("alignment"), log.of("relative_update")
        if alignments.empty:
            return {}
        return {"update_alignment": float(alignments.mean()), "update_size": geometric_mean(sizes)}


def _is_stream(join: Join, memory: Any) -> bool:
    """Whether a memory is the stream itself."""
    return isinstance(memory, Tensor) and join.connection.close(memory) is memory
