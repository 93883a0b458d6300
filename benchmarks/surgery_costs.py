"""What it costs to find and to replace shortcuts, and what a step of a small network costs then.

    python benchmarks/surgery_costs.py ROUNDS

The steps are those of GPT-2 with 4 layers of width 32 on 1 x 16 tokens: a forward pass, a backward pass and Adam, in
turns, in one process, on one thread, by processor time. Finding is compared between 800 blocks and 100, and measured
for a Llama with 24 layers, whose rotary embeddings read halves of queries and keys apart.
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
from surgery import stepper

DEPTHS = (100, 800)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.outer(self.inner(self.norm(x)).relu())


def small_gpt2() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=100, n_embd=32, n_layer=4, n_head=2, bos_token_id=0, eos_token_id=0)
    return GPT2LMHeadModel(config), {"input_ids": torch.arange(16)[None]}


def small_llama() -> tuple[nn.Module, dict[str, Tensor]]:
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        vocab_size=100, hidden_size=16, num_hidden_layers=24, num_attention_heads=2, intermediate_size=24
    )
    return LlamaModel(config), {"input_ids": torch.arange(8)[None]}


def seconds(call: Callable[[], Any]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    print(f"{rounds} rounds, one thread; {platform.machine()}, torch {torch.__version__}")
    missed = []

    x = torch.randn(2, 8)
    chains = {depth: nn.Sequential(*(Block() for _ in range(depth))) for depth in DEPTHS}
    skiplab.find_shortcuts(chains[min(DEPTHS)], x)  # imports what it needs
    found = [
        {d: seconds(lambda chain=c: skiplab.find_shortcuts(chain, x)) for d, c in chains.items()} for _ in range(5)
    ]
    shallow, deep = DEPTHS
    own = statistics.median(each[deep] for each in found)
    name = f"find_shortcuts per block, {deep} blocks over {shallow} ({own:.2f} s)"
    missed += judged(name, [each[deep] / each[shallow] * shallow / deep for each in found], at_most=1.25)

    llama, tokens = small_llama()
    taken = [seconds(lambda: skiplab.find_shortcuts(llama, tokens)) for _ in range(5)]
    missed += judged("seconds of find_shortcuts, a Llama with 24 layers", taken, at_most=1.0)

    model, inputs = small_gpt2()
    places = skiplab.find_shortcuts(model, inputs)
    skiplab.restore(skiplab.ablate(model, "plain", places))  # imports what it needs
    taken = []
    for connection in ("rezero", "scaled_half", "layerscale", "highway_gate", "identity"):
        taken.append(seconds(lambda connection=connection: skiplab.ablate(model, connection, places)))
        skiplab.restore(model)
    missed += judged("seconds of ablate, each of another connection", taken, at_most=0.1)

    for connection in ("identity", "plain"):
        joined = copy.deepcopy(model)
        skiplab.ablate(joined, connection, skiplab.find_shortcuts(joined, inputs))
        steps = {"untouched": stepper(model, inputs), "joined": stepper(joined, inputs)}
        for step in [*steps.values()] * 3:
            step()
        ratios = []
        for _ in range(rounds):
            once = {arm: step() for arm, step in steps.items()}
            ratios.append(once["joined"] / once["untouched"])
        missed += judged(f"a step of a small network, {connection} over untouched", ratios, at_most=1.05)
    if missed:
        sys.exit("missed")


if __name__ == "__main__":
    main(int(sys.argv[1]))
