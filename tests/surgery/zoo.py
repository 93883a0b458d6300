"""Tiny networks of libraries with random weights, and a comparison of their shortcuts with those written by hand.

    PYTHONPATH=tests/surgery python tests/surgery/zoo.py

writes the table of docs/finding_shortcuts.md: one row for each family of zoo.yaml. It needs all libraries.
"""

import importlib.util
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

import skiplab

# Sizes under the names that the configurations of text models give them.
_TEXT = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
    "head_dim": 8, "intermediate_size": 24, "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2,
}  # fmt: skip
_TEXT_TOO = {
    "d_model": 16, "n_embd": 16, "n_layer": 2, "n_head": 2, "encoder_layers": 2, "decoder_layers": 2,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24,
    "num_layers": 2, "num_heads": 2, "d_kv": 8, "d_ff": 24, "ffn_dim": 24, "embedding_size": 16, "dim": 16,
    "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "n_positions": 64, "rotary_dim": 8, "num_decoder_layers": 2,
    "n_inner": 24, "emb_dim": 16, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24, "num_experts": 4,
    "num_local_experts": 4, "num_experts_per_tok": 2, "intermediate_size": 24, "hidden_size": 16, "dff": 24,
    "num_hidden_layers": 2, "num_attention_heads": 2, "ffn_hidden_size": 24, "embed_dim": 16, "word_embed_proj_dim": 16,
}  # fmt: skip
_CLASSES = {"x_transformers": "x_transformers", "monai": "monai.networks.nets", "torch_geometric": "torch_geometric.nn"}
_KINDS = ("identity", "projection", "long skip", "conditioning", "uncertain")


@dataclass(frozen=True)
class Architecture:
    """A network of a library, and its shortcuts as (path, call, kind, operation).

    It is a model type of transformers, a class of diffusers, or what an expression makes of the classes of a library.

    inputs: what it reads, as a word, or shapes and words by name.
    model: its class in transformers; None for that of AutoModel.
    config: its arguments; None for those of text models.
    make: an expression that makes it of the library's classes; None for transformers and diffusers.
    also: arguments of its forward that aren't tensors.
    """

    family: str
    library: str
    name: str
    model: str | None
    inputs: Any
    config: dict[str, Any] | None
    make: str | None
    also: dict[str, Any]
    joins: frozenset[tuple[str, int, str, str]]

    def build(self) -> nn.Module:
        if self.make is not None:
            torch.manual_seed(0)
            classes = importlib.import_module(_CLASSES[self.library])
            return eval(self.make, {**vars(classes), "nn": nn, "torch": torch}).eval()
        if self.library == "diffusers":
            import diffusers

            torch.manual_seed(0)
            model = getattr(diffusers, self.name)(**(self.config or {})).eval()
            for parameter in model.parameters():
                if not parameter.any():  # layers that begin as zero would hide what lies before them
                    nn.init.normal_(parameter, std=0.1)
            return model
        import transformers
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        transformers.logging.set_verbosity_error()
        torch.manual_seed(0)
        if self.config is not None:
            config = CONFIG_MAPPING[self.name](**self.config)
            made = (
                getattr(transformers, self.model)(config) if self.model else transformers.AutoModel.from_config(config)
            )
            return made.eval()
        try:
            config = CONFIG_MAPPING[self.name](**_TEXT)
        except Exception:  # it names its sizes in another way
            config = CONFIG_MAPPING[self.name]()
        for name, value in _TEXT_TOO.items():
            if hasattr(config, name):
                setattr(config, name, value)
        return transformers.AutoModel.from_config(config).eval()

    def example(self, *, batch: int = 2, length: int = 7) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(0)
        tokens = torch.randint(3, 60, (batch, length), generator=generator)
        if isinstance(self.inputs, dict):
            number = torch.arange(batch * length)
            nodes = torch.randn(len(number), 8, generator=generator)
            edges = torch.stack([number.repeat(2), torch.cat([number.roll(1), number.roll(3)])])
            step = torch.full((batch,), 500)
            of_words = {"step": step, "tokens": tokens, "5 tokens": tokens[:, :5], "class": tokens[:, 0] % 10}
            of_words |= {"nodes": nodes, "edges": edges}
            named = {
                name: of_words[each] if isinstance(each, str) else torch.randn(batch, *each, generator=generator)
                for name, each in self.inputs.items()
            }
            return {**named, **self.also}
        shape = {"image": (3, 32, 32), "large image": (3, 64, 64), "video": (2, 3, 32, 32)}.get(self.inputs)
        if shape is not None:
            return {"pixel_values": torch.randn(batch, *shape, generator=generator)}
        if self.inputs == "sound":
            return {"input_values": torch.randn(batch, 1600, generator=generator)}
        if self.inputs == "one channel of sound":
            return {"input_values": torch.randn(batch, 1, 640, generator=generator)}
        if self.inputs == "spectrum and decoder tokens":
            spectrum = torch.randn(batch, 8, 20, generator=generator)
            return {"input_features": spectrum, "decoder_input_ids": tokens}
        decoder = {"decoder_input_ids": tokens.flip(1)} if self.inputs == "tokens and decoder tokens" else {}
        return {"input_ids": tokens, **decoder, **self.also}


def architectures() -> list[Architecture]:
    """All that zoo.yaml lists."""
    families = yaml.safe_load((Path(__file__).parent / "zoo.yaml").read_text(encoding="utf-8"))
    return [
        Architecture(
            family["family"],
            family.get("library", "transformers"),
            name,
            family.get("model"),
            family["inputs"],
            family.get("config"),
            make,
            family.get("also", {}),
            frozenset(_join(each) for text in family["joins"] for each in _expanded(text)),
        )
        for family in families
        for name, make in (
            family["make"].items() if "make" in family else zip(family["models"], itertools.repeat(None))
        )
    ]


def _expanded(text: str) -> Iterator[str]:
    parts = re.split(r"\{([^}]*)\}", text)
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    return ("".join(chosen) for chosen in itertools.product(*choices))


def _join(text: str) -> tuple[str, int, str, str]:
    place, _, rest = text.partition(" ")
    kind = next((kind for kind in _KINDS if rest.startswith(kind)), "identity")
    path, _, call = place.rpartition(":")
    return path, int(call), kind, rest.removeprefix(kind).strip() or "addition"


def found(model: nn.Module, inputs: Any) -> frozenset[tuple[str, int, str, str]]:
    return frozenset((e.path, e.call, e.kind, e.operation) for e in skiplab.find_shortcuts(model, inputs))


def differences(wanted: frozenset[Any], got: frozenset[Any]) -> Counter[str]:
    """How many shortcuts are right, of a wrong kind, missed, extra, and extra but uncertain."""
    kinds = {(path, call, operation): kind for path, call, kind, operation in got}
    counts: Counter[str] = Counter(right=len(wanted & got))
    for path, call, _, operation in wanted - got:
        counts["wrong kind" if (path, call, operation) in kinds else "missed"] += 1
    places = {(path, call, operation) for path, call, _, operation in wanted}
    for path, call, kind, operation in got - wanted:
        if (path, call, operation) not in places:
            counts["uncertain" if kind == "uncertain" else "extra"] += 1
    return counts


def table() -> str:
    """A row for each family: its architectures, and how many of their shortcuts are right."""
    columns = ("right", "wrong kind", "missed", "extra", "uncertain")
    lines = [f"| family | architectures | {' | '.join(columns)} |", "| --- | --- |" + " --- |" * len(columns)]
    total: Counter[str] = Counter()
    right = number = 0
    for family, members in itertools.groupby(architectures(), key=lambda each: each.family):
        names, counts = [], Counter[str]()
        for member in members:
            own = differences(member.joins, found(member.build(), member.example()))
            is_right = sum(own.values()) == own["right"]
            names.append(member.name if is_right else f"**{member.name}**")
            counts += own
            right, number = right + is_right, number + 1
        total += counts
        lines.append(f"| {family} | {', '.join(names)} | {' | '.join(str(counts[each]) for each in columns)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    lines.append(f"| all | {right} of {number} right | {' | '.join(str(total[each]) for each in columns)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    absent = [name for name in {each.library for each in architectures()} if importlib.util.find_spec(name) is None]
    if absent:
        sys.exit(f"the table is of all libraries, and {', '.join(sorted(absent))} can't be imported")
    page = Path(__file__).parents[2] / "docs" / "finding_shortcuts.md"
    text = re.sub(
        r"(<!-- zoo -->\n).*?(<!-- /zoo -->)",
        lambda match: match[1] + table() + match[2],
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
