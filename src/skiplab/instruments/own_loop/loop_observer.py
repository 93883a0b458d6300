"""Runs instruments in a loop that isn't skiplab's."""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from skiplab.errors import SkiplabError
from skiplab.instruments.instrument import Instrument, Place
from skiplab.instruments.own_loop.any_network import network_of, refuse_compiled
from skiplab.instruments.own_loop.update import Update
from skiplab.instruments.reading_rows import Row, reading_rows
from skiplab.layers import Hook, Layer


class LoopObserver:
    """Calls the instruments that are due in a step, between `begin` before its first pass and `end` behind its update.

    Layers are numbered in the order in which the first measured step calls them; those that it doesn't call come last.
    A step that isn't due costs a few comparisons.

    Args:
        model: the network that is trained.
        instruments: the instruments.
        blocks: pattern of the modules that count as blocks, see `network_of`.
        example_inputs: arguments of one forward pass, in which blocks are found; None for none.

    Raises:
        SkiplabError: an instrument can't measure this network.
    """

    def __init__(
        self, model: nn.Module, instruments: Sequence[Instrument], *, blocks: str | None, example_inputs: Any
    ) -> None:
        self.network = network_of(model, blocks_at=blocks, example_inputs=example_inputs)
        self.instruments = instruments
        for instrument in instruments:
            if instrument.needs_trial:
                raise SkiplabError(
                    f"{type(instrument).__name__} needs the objective, data and noise levels of a trial; leave it out "
                    "in a loop of your own"
                )
            instrument.check(self.network)
        self._parameters = list(self.network.model.parameters())
        self._order: dict[str, int] = {}  # of the layers, by path; known behind the first measured step
        self._called: dict[str, None] = {}
        self._due: list[Instrument] = []
        self._missed: list[Instrument] = []
        self._update: Update | None = None
        self._hooks: list[RemovableHandle] = []
        self._step = 0
        self._lacked_update = False

    @property
    def never_updated(self) -> bool:
        """Whether steps were to be measured, and none had an update."""
        return self._lacked_update and not self._order

    @property
    def is_open(self) -> bool:
        """Whether a step is being measured."""
        return self._update is not None

    def begin(self, step: int) -> None:
        """Before the first forward pass of a step."""
        due = [each for each in self.instruments if each.is_due(step) or each in self._missed]
        if not due:
            return
        self._step, self._due, self._missed = step, due, []
        self._update = Update(self._parameters)
        if not self._order:
            self._hooks = [self._number(layer) for layer in self.network.layers]
        for instrument in due:
            instrument.begin(self.network, step)

    def end(self) -> list[Row]:
        """Behind the step's last update: its readings; none if nothing was updated, and the next step is due then."""
        if self._update is None:
            return []
        update, due = self._update, self._due
        self.abandon()
        if not update.made:
            self._missed = due
            self._lacked_update = True
            return []
        with update.undone():
            for instrument in due:
                instrument.before_update(update.loss_scale)
        readings = [reading for instrument in due for reading in instrument.after_update()]
        if not self._order:
            self._check_seen()
            uncalled = (layer.path for layer in self.network.layers if layer.path not in self._called)
            self._order = {path: index for index, path in enumerate([*self._called, *uncalled])}
        return reading_rows(self._step, readings, self._index_of)

    def abandon(self) -> None:
        """Measure no more of the step."""
        if self._update is not None:
            self._update.release()
            for instrument in self._due:
                instrument.release()
            for hook in self._hooks:
                hook.remove()
        self._update, self._due, self._hooks = None, [], []

    def _number(self, layer: Layer):
        def before_forward(*_: Any) -> None:
            if not self._called:
                refuse_compiled(sys._getframe())
            if torch.is_grad_enabled():
                self._called.setdefault(layer.path)

        return layer.module.register_forward_pre_hook(Hook(before_forward))

    def _check_seen(self) -> None:
        """Refuse a network that is updated and never called, since its layers' outputs can't be seen."""
        if not self._called:
            raise SkiplabError(
                "no layer of the watched network was called in the step that updated it; watch the network that is "
                "trained, not another one with the same weights"
            )

    def _index_of(self, place: Place) -> int:
        return self._order[place.path] if isinstance(place, Layer) else place.index
