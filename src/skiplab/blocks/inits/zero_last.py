from torch import nn

from skiplab.blocks.init import Init, branch_joins, refuse_dead_joins, reset_parameters


class ZeroLast(Init):
    """PyTorch's initialization, except that the last module of every branch starts at zero, f(x) = 0.

    So each join starts as its shortcut. If the last module is a norm, its gain and its bias are zero.

    Source: Goyal et al. 2017, Accurate, Large Minibatch SGD, arXiv:1706.02677, section 5.1 (gain of the last BatchNorm,
        from memory); the last convolution: Ho et al. 2020, DDPM, arXiv:2006.11239, in its code.
    Differs from the source: other layers have PyTorch's initialization.

    Raises:
        SkiplabError: if the connection drops the stream (connection=plain), or starts at zero too.
    """

    def prepare(self, model: nn.Module) -> None:
        refuse_dead_joins(model, "zero_last")
        self._last = {join.branch.last for join in branch_joins(model)}

    def __call__(self, module: nn.Module, path: str) -> None:
        """Initialize the module's own parameters from the global generator."""
        reset_parameters(module)
        if module in self._last:
            for parameter in module.parameters(recurse=False):
                nn.init.zeros_(parameter)
