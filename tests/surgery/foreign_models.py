"""Networks that aren't built from skiplab's blocks: of libraries, and by hand, each with inputs."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def tensors(*shapes: tuple[int, ...]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def unet2d() -> tuple[nn.Module, Any]:
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return model, (*tensors((2, 1, 8, 8)), torch.tensor([3, 500]))


def unet2d_condition() -> tuple[nn.Module, Any]:
    from diffusers import UNet2DConditionModel

    model = UNet2DConditionModel(
        sample_size=8,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=8,
        attention_head_dim=4,
    )
    sample, text = tensors((2, 3, 8, 8), (2, 4, 8))
    return model, (sample, torch.tensor([3, 500]), text)


def dit() -> tuple[nn.Module, Any]:
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=3, num_layers=2, sample_size=8, norm_num_groups=4
    )
    labels = {"timestep": torch.tensor([3, 500]), "class_labels": torch.tensor([1, 2])}
    return model, {"hidden_states": tensors((2, 3, 8, 8))[0], **labels}


def vit() -> tuple[nn.Module, Any]:
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=8,
        patch_size=4,
        hidden_dropout_prob=0.1,
    )
    return ViTForImageClassification(config), {"pixel_values": tensors((2, 3, 8, 8))[0]}


def bert() -> tuple[nn.Module, Any]:
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=50,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    words = torch.arange(14).reshape(2, 7)
    return BertForSequenceClassification(config), {"input_ids": words, "attention_mask": torch.ones_like(words)}


def gpt2() -> tuple[nn.Module, Any]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=16, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config), {"input_ids": torch.arange(14).reshape(2, 7)}


LIBRARIES: dict[str, Callable[[], tuple[nn.Module, Any]]] = {
    make.__name__: make for make in (unet2d, unet2d_condition, dit, vit, bert, gpt2)
}


class ResBlock(nn.Module):
    """Of an image classifier, with an activation after the join."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, 1)
        self.norm = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        changes = width_in != width or stride != 1
        self.down = nn.Conv2d(width_in, width, 1, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(self.norm(self.conv1(x)).relu())
        shortcut = x if self.down is None else self.down(x)
        out += shortcut
        return out.relu()


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.blocks = nn.Sequential(ResBlock(8, 8, 1), ResBlock(8, 16, 2), ResBlock(16, 16, 1))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean(dim=(2, 3)))


def joins(x: Tensor, update: Tensor) -> Tensor:
    return x + update


def joins_in_place(x: Tensor, update: Tensor) -> Tensor:
    update.add_(x)
    return update


def joins_with_alpha(x: Tensor, update: Tensor) -> Tensor:
    return torch.add(x, update, alpha=0.5)


def joins_and_scales(x: Tensor, update: Tensor) -> Tensor:
    return (x + update) / 2**0.5


def subtracts(x: Tensor, update: Tensor) -> Tensor:
    return x - update


def interpolates(x: Tensor, update: Tensor) -> Tensor:
    return torch.lerp(x, update, 0.3)


class Residual(nn.Module):
    """Points through a small network around which the stream goes, joined by a function."""

    def __init__(self, width: int, meet: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.outer, self.meet = nn.Linear(width, 2 * width), nn.Linear(2 * width, width), meet

    def forward(self, x: Tensor) -> Tensor:
        return self.meet(x, self.outer(self.inner(x).tanh()))


class Gated(Residual):
    """A highway layer: t f(x) + (1 - t) x."""

    def __init__(self, width: int) -> None:
        super().__init__(width, joins)
        self.gate = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x).sigmoid()
        return gate * self.outer(self.inner(x).tanh()) + (1 - gate) * x


class Wavering(Residual):
    """Its additions depend on what it reads."""

    def forward(self, x: Tensor) -> Tensor:
        update = self.outer(self.inner(x).tanh())
        return x + update if x.mean() < 100 else x + update + update.tanh()


class Inside(nn.Sequential):
    """A sequence with a shortcut around it."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Checkpointed(nn.Module):
    """A block checkpointed as a whole, or its own code."""

    def __init__(self, width: int, *, whole: bool) -> None:
        super().__init__()
        self.block, self.whole = Residual(width, joins), whole
        self.last = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        if self.whole:
            return self.last(checkpoint(self.block, x, use_reentrant=False))
        return checkpoint(lambda x: x + self.last(x), self.block(x), use_reentrant=False)


class AddUnet(nn.Module):
    """A U-Net whose bridge is added, with a residual block on each side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 1, 3, padding=1)
        self.first, self.last = ResBlock(8, 8, 1), ResBlock(8, 8, 1)
        self.down, self.up = nn.Conv2d(8, 8, 3, 2, 1), nn.ConvTranspose2d(8, 8, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.first(self.stem(x))
        return self.head(self.last(self.up(self.down(skip)) + skip))


class Twice(nn.Module):
    """One block, passed two times."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = Residual(width, joins)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.block(x))


def points(make: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> tuple[nn.Module, Any]:
    """A network of points of 6 features, and some of them."""
    return make(6, *args, **kwargs), tensors((4, 6))[0]


def by_hand() -> dict[str, tuple[nn.Module, Any]]:
    """Networks in which `plain` and `identity` can be put; each with inputs."""
    (images,) = tensors((2, 3, 8, 8))
    (grey,) = tensors((2, 1, 8, 8))
    return {
        "resnet": (ResNet(), images),
        "in place": points(Residual, joins_in_place),
        "alpha": points(Residual, joins_with_alpha),
        "scaled after": points(Residual, joins_and_scales),
        "sequence": points(lambda width: Inside(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width))),
        "bridge": (AddUnet(), grey),
        "twice": points(Twice),
        "checkpointed whole": points(functools.partial(Checkpointed, whole=True)),
    }
