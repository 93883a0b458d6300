"""What a step costs when a network's shortcuts are joined by connection=identity, against the untouched network.

    python benchmarks/surgery.py ROUNDS

A step is a forward pass, a backward pass and Adam, after a first call; in turns, in one process, on one thread.
"""

import copy
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from judged import judged
from torch import Tensor, nn

import skiplab

TARGET = 1.03


def unet2d() -> tuple[nn.Module, dict[str, Tensor]]:
    from diffusers import UNet2DModel

    model = UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=2,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )
    return model, {"sample": torch.randn(16, 3, 16, 16), "timestep": torch.arange(16)}


def dit() -> tuple[nn.Module, dict[str, Tensor]]:
    from diffusers import DiTTransformer2DModel

    model = DiTTransformer2DModel(
        num_attention_heads=4, attention_head_dim=32, in_channels=3, num_layers=4, sample_size=16, norm_num_groups=4
    )
    told = {"timestep": torch.arange(16), "class_labels": torch.arange(16)}
    return model, {"hidden_states": torch.randn(16, 3, 16, 16), **told}


def vit() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 768}
    model = ViTForImageClassification(ViTConfig(image_size=32, patch_size=4, **sizes))
    return model, {"pixel_values": torch.randn(8, 3, 32, 32)}


def bert() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3, "intermediate_size": 768}
    return BertForSequenceClassification(BertConfig(vocab_size=1000, **sizes)), {
        "input_ids": torch.arange(8 * 64).view(8, 64)
    }


def gpt2() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=1000, n_embd=192, n_layer=4, n_head=3, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config), {"input_ids": torch.arange(8 * 64).view(8, 64)}


def stepper(model: nn.Module, inputs: dict[str, Tensor]) -> Callable[[], float]:
    """Processor seconds of one more step of training."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> float:
        started = time.process_time()
        optimizer.zero_grad()
        output: Any = model(**inputs)
        output[0].square().mean().backward()
        optimizer.step()
        return time.process_time() - started

    return step


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    print(f"{rounds} rounds of a step each, one thread; {platform.machine()}, torch {torch.__version__}")
    missed = []
    for make in (unet2d, dit, vit, bert, gpt2):
        model, inputs = make()
        joined = copy.deepcopy(model)
        found = skiplab.find_shortcuts(joined, inputs).replaceable()
        steps = {
            "untouched": stepper(model, inputs),
            "joined": stepper(skiplab.ablate(joined, "identity", found), inputs),
        }
        for step in steps.values():
            step()
        taken = [{arm: step() for arm, step in steps.items()} for _ in range(rounds)]
        ratios = [each["joined"] / each["untouched"] for each in taken]
        own = 1000 * statistics.median(each["untouched"] for each in taken)
        name = f"{make.__name__}, {len(found)} shortcuts, over {own:.0f} ms a step"
        missed += judged(name, ratios, at_most=TARGET)
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
