from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from skiplab.blocks.block import Join
from skiplab.charts import Chart
from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, Reading, TrainingLog, geometric_mean
from skiplab.layers import IndexedJoin, Network, watch
from skiplab.metrics import Metric


class UpdateAlignment(Instrument):
    """Size of each block's update relative to its stream, and its cosine to the negative gradient of the loss.

    With x the stream before a join, d = x' - x the change at the join, and L the loss, the means over samples of

        size = |d| / |x|,   alignment = d . (-dL/dx) / (|d| |dL/dx|).

    A block that refines takes a small step downhill. In a plain network d is the block's output minus its input, which
    is a step too. Not measured are joins that change the stream's shape, and connections whose memory is more than the
    stream.

    Source: Jastrzebski et al. 2018, Residual Connections Encourage Iterative Inference, arXiv:1710.04773, section 4.2
        (cosine loss and l2 ratio, from memory).
    Differs from the source: in training mode, on the training batch; the gradient is the batch's mean loss's.

    Args:
        every_n_steps: steps between two measurements, from 1.
    """

    metrics: ClassVar[dict[str, Metric]] = {
        "update_alignment": Metric(
            label="cosine of updates to the negative loss gradient, mean over joins",
            direction="higher",
            role="mechanism",
        ),
        "update_size": Metric(
            label="size of updates over their streams, geometric mean over joins",
            direction=None,
            scale="log",
            role="mechanism",
        ),
    }
    charts: ClassVar[dict[str, Chart]] = {
        "alignment": Chart(
            title="Alignment of updates with the negative gradient",
            caption="Cosine between a join's change of its stream and the negative gradient of the loss, from input "
            "(0) to output (1); means over measured steps and seeds. Above 0, the change lowers the loss.",
            kind="lines",
            x="relative position of the join",
            value="cosine to the negative loss gradient",
        ),
        "relative_update": Chart(
            title="Size of each update",
            caption="Size of a join's change of its stream, relative to the stream, from input (0) to output (1); "
            "geometric means over measured steps and seeds.",
            kind="lines",
            x="relative position of the join",
            value="size of the update over the stream's",
            log=("value",),
        ),
        "stream_rms": Chart(
            title="Size of the stream",
            caption="Root mean square of the stream before each join, from input (0) to output (1); geometric means "
            "over measured steps and seeds.",
            kind="lines",
            x="relative position of the join",
            value="RMS of the stream",
            log=("value",),
        ),
    }

    def check(self, network: Network) -> None:
        if not network.joins:
            raise SkiplabError(
                "update_alignment measures joins, and this network has none; let skiplab.ablate(model, 'identity', "
                "skiplab.find_shortcuts(model, inputs)) make joins of its shortcuts, or leave update_alignment out"
            )

    def begin(self, network: Network, step: int) -> None:
        self._joins = network.joins
        self._changes: dict[IndexedJoin, tuple[Tensor, Tensor]] = {}
        self._gradients: dict[IndexedJoin, Tensor] = {}
        self.hooks = [watch(place.module, self._watch(place)) for place in network.joins]

    def _watch(self, place: IndexedJoin):
        def keep(gradient: Tensor) -> None:
            self._gradients[place] = gradient.detach()

        join = place.module

        def after_forward(_: nn.Module, arguments: tuple[Any, ...], after: Any) -> None:
            before = arguments[0]
            if _is_stream(join, before) and _is_stream(join, after) and before.requires_grad:
                self._changes[place] = (before.detach(), (after - before).detach())
                before.register_hook(keep)

        return after_forward

    def before_update(self, loss_scale: float) -> None:
        self.release()
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

    def summarize(self, log: TrainingLog) -> dict[str, float]:
        alignments, sizes = log.of("alignment"), log.of("relative_update")
        if alignments.empty:
            return {}
        return {"update_alignment": float(alignments.mean()), "update_size": geometric_mean(sizes)}


def _is_stream(join: Join, memory: Any) -> bool:
    """Whether a memory is the stream itself."""
    return isinstance(memory, Tensor) and join.connection.close(memory) is memory
