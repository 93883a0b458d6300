from jaxtyping import Float
from torch import Tensor

from skiplab.blocks.long_skip import LongSkip
from skiplab.errors import SkiplabError


class Add(LongSkip):
    """The sum of stream and skip, y = stream + skip; no parameters.

    Source: Bao et al. 2023, U-ViT, arXiv:2209.12152, figure 2a (the variant that adds without a linear map, from
        memory).
    Differs from the source: between U-Net stages, not transformer blocks.

    Raises:
        SkiplabError: if stream and skip differ in width.
    """

    def __init__(self, width_stream: int, width_skip: int) -> None:
        super().__init__(width_stream, width_skip)
        if width_stream != width_skip:
            raise SkiplabError(
                f"long_skip=add needs equal widths, and the stream has {width_stream} channels and the skip "
                f"{width_skip}; take long_skip=concat or none"
            )

    def forward(
        self,
        stream: Float[Tensor, "batch width_stream *positions"],
        skip: Float[Tensor, "batch width_skip *positions"],
    ) -> Float[Tensor, "batch width_out *positions"]:
        return stream + skip
