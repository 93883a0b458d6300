"""Facts about the functions of ATen, to which every torch function comes down while a network runs."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def _names(names: str) -> frozenset[str]:
    return frozenset(names.split())


# Their results have the shape or the sign of what they read, and no gradient flows through them.
WITHOUT_GRADIENT = _names(
    "zeros_like ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty "
    "new_empty_strided detach sign round floor ceil heaviside trunc bernoulli zero fill"
)
_LINEAR = _names(
    "add sub rsub neg mul div mean sum mm addmm bmm baddbmm linear convolution native_layer_norm native_group_norm "
    "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm batch_norm "
    "_fused_rms_norm constant_pad_nd cat stack index index_select gather roll flip embedding repeat where masked_fill "
    "clone copy _to_copy _unsafe_view alias pixel_shuffle pixel_unshuffle cumsum channel_shuffle im2col col2im "
    "view t transpose permute expand select slice unsqueeze squeeze split split_with_sizes unbind as_strided unfold "
    "max amax native_dropout diagonal movedim swapaxes detach_copy narrow real imag "
    "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d pad _adaptive_avg_pool2d "
    "_adaptive_avg_pool3d adaptive_avg_pool1d _conj view_as_real view_as_complex index_put slice_scatter "
    "scatter_add scatter_reduce"
)
_REARRANGING = _names(
    "view t transpose permute expand select slice unsqueeze squeeze split split_with_sizes unbind as_strided repeat "
    "clone copy _to_copy _unsafe_view alias index index_select"
)
_LINEAR_BEGINNINGS = ("avg_pool", "max_pool", "upsample_", "_upsample_", "_fft_")
_SCALING = _names("mul div neg")
_PRODUCTS = _names("mul div mm addmm bmm baddbmm matmul convolution")
_MIXING_BEGINNINGS = ("_fft_", "avg_pool", "max_pool", "_adaptive_avg_pool", "adaptive_avg_pool", "_scaled_dot_product")
_MIXING = frozenset(("mm", "bmm", "convolution"))
_GATHERING = frozenset(("scatter_add", "scatter_reduce", "index_add", "index_reduce"))
_PUTTING = frozenset(("index_put", "index_copy", "scatter"))
_RAISING_BEGINNINGS = ("upsample_", "_upsample_", "pixel_shuffle", "max_unpool", "convolution")
_CHANNELS_SECOND = _names(
    "convolution native_group_norm native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "cudnn_batch_norm batch_norm _prelu_kernel"
)
_CHANNELS_LAST = _names(
    "mm addmm bmm baddbmm linear native_layer_norm _fused_rms_norm embedding _weight_int8pack_mm _int_mm "
    "linear_dynamic _weight_int4pack_mm linear_relu_dynamic"
)
_ELEMENTWISE_WITH_PARAMETER = _names("mul add div sub rsub")
_WEIGHTED = (_CHANNELS_LAST - {"native_layer_norm", "_fused_rms_norm"}) | {"convolution", "mkldnn_rnn_layer"}
_QUANTIZED = (torch.int8, torch.uint8)


def name_of(function: Any) -> str:
    """The name of an ATen function without its overload, and without the underscore of those that work in place."""
    name = function.overloadpacket.__name__
    return name.rstrip("_") if name.endswith("_") and not name.endswith("__") else name


def in_place(function: Any) -> bool:
    """Whether it writes its result over its first argument."""
    name = function.overloadpacket.__name__
    return name.endswith("_") and not name.endswith("__")


def is_linear(name: str) -> bool:
    return name in _LINEAR or name.startswith(_LINEAR_BEGINNINGS)


def rearranges(name: str) -> bool:
    """Whether its result has the elements that it reads, in another order or type, some of them or repeated."""
    return name in _REARRANGING


def scales(name: str) -> bool:
    return name in _SCALING


def is_product(name: str) -> bool:
    return name in _PRODUCTS


def mixes(name: str, num_carrying: int, *, first_is_constant: bool) -> bool:
    """Whether it combines positions with each other, without a parameter.

    A matrix product combines the rows of its second factor, whose positions they are.
    """
    if name in ("mm", "bmm") and num_carrying == 1:
        return first_is_constant
    return name.startswith(_MIXING_BEGINNINGS) or name in _GATHERING or (name in _MIXING and num_carrying > 1)


def raises_resolution(name: str, read: Sequence[Tensor], result: Tensor) -> bool:
    """Whether its result has more positions than what it reads; by half at least, as padding adds some.

    It reads images, or it puts what it reads last into some of the positions of another tensor.
    """
    if puts(name):
        return result.numel() >= 1.5 * read[-1].numel()
    if not name.startswith(_RAISING_BEGINNINGS) or not read or result.ndim < 3 or read[0].ndim != result.ndim:
        return False
    return math.prod(result.shape[2:]) >= 1.5 * math.prod(read[0].shape[2:])


def puts(name: str) -> bool:
    """Whether it puts values into some of the positions of a tensor."""
    return name in _PUTTING


def is_weight(tensor: Tensor) -> bool:
    """Whether a buffer holds a quantized weight, which libraries don't register as a parameter."""
    return tensor.ndim >= 2 and tensor.dtype in _QUANTIZED


def reads_weight(name: str, parameters: Sequence[tuple[int, ...]]) -> bool:
    """Whether the parameters that a function reads, of these shapes, combine channels; scales and biases don't."""
    return name in _WEIGHTED or any(sum(size > 1 for size in shape) > 1 for shape in parameters)


def channel_of_result(name: str, parameters: Sequence[Tensor], result: Tensor) -> int | None:
    """The dimension of the channels in the result of a function that reads parameters; None if it doesn't tell."""
    if name in _CHANNELS_SECOND:
        return 1 if result.ndim > 1 else 0
    if name in _CHANNELS_LAST:
        return result.ndim - 1
    if name in _ELEMENTWISE_WITH_PARAMETER:
        shape = max((each.shape for each in parameters), key=len)
        own = [dim for dim, size in enumerate(shape, start=result.ndim - len(shape)) if size > 1]
        return own[0] if len(own) == 1 else None
    return None
