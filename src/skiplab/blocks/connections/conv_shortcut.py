import torch
from torch import Tensor, nn

from skiplab.blocks.connection import Connection, Stream
from skiplab.blocks.specification import JoinSpec


class ConvShortcut(Connection):
    """A 1x1 convolution as the shortcut, x_{l+1} = W_l x_l + f(x_l).

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, section 3.1, '1x1 convolutional shortcut' and
        Table 1; option C of He et al. 2015, arXiv:1512.03385, section 4.1.
    Differs from the source: W starts with variance 1/width, which keeps the stream's; He initialisation would
        double it at every join where no ReLU stands on the shortcut.
    """

    def __init__(self, spec: JoinSpec) -> None:
        super().__init__(spec)
        self.weight = nn.Parameter(torch.empty(spec.width, spec.width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=self.spec.width**-0.5)

    def join(self, stream: Stream, update: Stream, cond: Tensor | None) -> Stream:
        return torch.einsum("oc,bc...->bo...", self.weight, stream) + update
