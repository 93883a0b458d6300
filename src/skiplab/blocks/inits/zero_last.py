from torch import nn

from skiplab.blocks.init import Init, joins, refuse_dead_joins


class ZeroLast(Init):
    """As PyTorch starts it, but the last module of every branch is zero, f(x) = 0, so each join starts as its shortcut.

    Where that is a norm, its gain and its bias are zero.

    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, arXiv:1706.02677, section 5.1 (gain of the last
        BatchNorm); the last convolution: Ho et al. 2020, DDPM, arXiv:2006.11239, in its code.
    Differs from the source: other layers start as PyTorch starts them.

    Raises:
        SkiplabError: where nothing would pass such an update (connection=plain), or the connection starts at zero too.
    """

    def prepare(self, model: nn.Module) -> None:
        refuse_dead_joins(model, "zero_last")
        self._last = {join.branch.last for join in joins(model)}

    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialise the module's own parameters from the global generator."""
        module.reset_parameters()
        if module in self._last:
            for parameter in module.parameters(recurse=False):
                nn.init.zeros_(parameter)
