"""Records of someone who means harm: each a finished one, changed in one way."""

import json
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import torch
import yaml
from omegaconf import OmegaConf

from skiplab.records.key import trial_key

Config = dict[str, Any]
HOSTILE: dict[str, Callable[["Place", Config], None]] = {}
REFUSED: set[str] = set()  # what load and evaluate must refuse; the others do harm where they are read or written to


class Place(NamedTuple):
    """Where one is made. folder: the record; outside: what must stay as it is, nothing made in it."""

    folder: Path
    outside: Path

    @property
    def touch(self) -> str:
        return f"touch {self.outside / 'it_ran'}"


def hostile(*, refused: bool = True) -> Callable[[Callable], Callable]:
    def listed(function: Callable[[Place, Config], None]) -> Callable:
        HOSTILE[function.__name__] = function
        if refused:
            REFUSED.add(function.__name__)
        return function

    return listed


class Acts:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@hostile()
def popen_as_network(place: Place, config: Config) -> None:
    external(config, "subprocess.Popen", {"args": place.touch.split()})


@hostile()
def rmtree_as_network(place: Place, config: Config) -> None:
    external(config, "shutil.rmtree", {"path": str(place.outside)})


@hostile()
def module_that_acts_as_network(place: Place, config: Config) -> None:
    external(config, "acts_on_import.Thing", {})


@hostile()
def eval_as_data(place: Place, config: Config) -> None:
    config["data"] = {"_target_": "builtins.eval", "_args_": [f"__import__('os').system({place.touch!r})"]}


@hostile()
def exec_as_init(place: Place, config: Config) -> None:
    config["init"] = {"_target_": "builtins.exec", "_args_": [f"__import__('os').system({place.touch!r})"]}


@hostile()
def system_as_connection(place: Place, config: Config) -> None:
    config["connection"] = {"_target_": "os.system", "command": place.touch, "_args_": []}


@hostile()
def pickle_beside(place: Place, config: Config) -> None:
    (place.folder / "data.pkl").write_bytes(pickle.dumps(Acts(place.touch)))
    config["data"] = {"_target_": "pandas.read_pickle", "filepath_or_buffer": str(place.folder / "data.pkl")}


@hostile()
def joblib_beside(place: Place, config: Config) -> None:
    joblib.dump(Acts(place.touch), place.folder / "data.joblib")
    config["data"] = {"_target_": "joblib.load", "filename": str(place.folder / "data.joblib")}


@hostile()
def checkpoint_as_data(place: Place, config: Config) -> None:
    path = place.folder / "checkpoints" / "step=6.ckpt"
    path.parent.mkdir(exist_ok=True)
    torch.save({"state_dict": Acts(place.touch)}, path)
    config["data"] = {"_target_": "torch.load", "f": str(path), "weights_only": False}


@hostile()
def module_that_acts(place: Place, config: Config) -> None:
    config["connection"]["_target_"] = "acts_on_import.Thing"


@hostile()
def optimizer_that_acts(place: Place, config: Config) -> None:
    config["optimizer"]["_target_"] = "acts_on_import.Thing"


@hostile()
def instrument_that_acts(place: Place, config: Config) -> None:
    next(iter(config["instrument"].values()))["_target_"] = "acts_on_import.Thing"


@hostile()
def nested_target(place: Place, config: Config) -> None:
    config["data"]["num_val"] = {"_target_": "os.system", "command": place.touch}


@hostile()
def nested_in_a_list(place: Place, config: Config) -> None:
    config["backbone"]["channel_multipliers"] = [1, {"_target_": "os.system", "command": place.touch}]


@hostile()
def further_arguments(place: Place, config: Config) -> None:
    config["init"]["_args_"] = [{"_target_": "os.system", "command": place.touch}]


@hostile()
def call_of_hydra(place: Place, config: Config) -> None:
    config["data"] = {
        "_target_": "hydra.utils.call",
        "_recursive_": False,
        "config": {"_target_": "os.system", "command": place.touch},
    }


@hostile()
def import_by_name(place: Place, config: Config) -> None:
    config["data"] = {"_target_": "builtins.__import__", "name": "acts_on_import"}


@hostile()
def attribute_of_an_option(place: Place, config: Config) -> None:
    config["data"] = {"_target_": "skiplab.training.trial.sys.modules.__class__", "x": 1}
    config["init"] = {"_target_": "skiplab.records.provenance.os.system", "command": place.touch}


@hostile()
def partial_of_a_module(place: Place, config: Config) -> None:
    config["data"] = {"_target_": "functools.partial", "_args_": [{"_target_": "acts_on_import.Thing"}]}


@hostile()
def command_line_as_data(place: Place, config: Config) -> None:
    words = ["train", f"run.runs_dir={place.outside / 'it_ran'}", "logger=none", "trainer.max_steps=1"]
    config["data"] = {"_target_": "skiplab.cli.main", "arguments": words}


@hostile()
def option_of_another_axis(place: Place, config: Config) -> None:
    config["connection"] = dict(config["data"])


@hostile()
def extractor_as_code(place: Place, config: Config) -> None:
    settings = {
        "path": str(place.folder / "weights.safetensors"),
        "sha256": None,
        "num_features": 64,
        "input_range": [-1, 1],
        "resize": None,
    }
    target = "skiplab.evaluators.feature_extractors.torchscript.Torchscript"
    config["feature_extractor"] = {"_target_": target, **settings}


@hostile()
def inception_of_ones_own(place: Place, config: Config) -> None:
    target = "skiplab.evaluators.feature_extractors.inception.Inception"
    config["feature_extractor"] = {"_target_": target, "path": str(place.folder / "samples.png"), "sha256": None}


@hostile()
def network_of_an_extractor(place: Place, config: Config) -> None:
    settings = {"path": str(place.folder / "weights.safetensors"), "sha256": None, "num_features": 64}
    settings |= {"network": "acts_on_import.Thing", "input_range": [-1, 1], "resize": None}
    target = "skiplab.evaluators.feature_extractors.safetensors.Safetensors"
    config["feature_extractor"] = {"_target_": target, **settings}


@hostile(refused=False)
def extractor_of_everything(place: Place, config: Config) -> None:
    target = "skiplab.training.feature_extractors.record.Record"
    config["feature_extractor"] = {"_target_": target, "path": str(place.outside)}


@hostile()
def pictures_of_the_user(place: Place, config: Config) -> None:
    target, settings = "skiplab.data.image_folder.ImageFolder", {"size": 8, "channels": 1, "num_val": 1}
    settings |= {"split_seed": 0, "cache_dir": str(place.outside), "max_resident_bytes": 10**9}
    config["data"] = {"_target_": target, "path": str(place.outside), **settings}


@hostile()
def endless_depth(place: Place, config: Config) -> None:
    config["depth"] = 2**16


@hostile()
def endless_width(place: Place, config: Config) -> None:
    config["width"] = 2**12


@hostile()
def method_by_name(place: Place, config: Config) -> None:
    config["connection"] = {"_target_": "hydra.utils.get_method", "path": "os.system"}


@hostile()
def object_by_name(place: Place, config: Config) -> None:
    config["init"] = {"_target_": "hydra.utils.get_object", "path": "acts_on_import.Thing"}


@hostile()
def object_by_name_as_network(place: Place, config: Config) -> None:
    external(config, "hydra.utils.get_object", {"path": "acts_on_import.Thing"})


@hostile()
def created_by_interpolation(place: Place, config: Config) -> None:
    config["connection"] = "${oc.create:'{_target_: os.system, command: true}'}"


@hostile()
def torchscript_as_network(place: Place, config: Config) -> None:
    external(config, "torch.jit.load", {"f": str(place.folder / "weights.safetensors")})


@hostile()
def hole_in_weights(place: Place, config: Config) -> None:
    os.truncate(place.folder / "weights.safetensors", 2**42)


@hostile()
def argument_of_no_constructor(place: Place, config: Config) -> None:
    config["init"]["unheard_of"] = 1


@hostile()
def environment(place: Place, config: Config) -> None:
    config["run"]["study"] = "${oc.env:HOME}"


@hostile()
def python_tag(place: Place, config: Config) -> None:
    rewrite(place, f"depth: !!python/object/apply:os.system [{place.touch!r}]\n")


@hostile()
def aliases(place: Place, config: Config) -> None:
    names = "abcdefghijklmnopqrstuvwxyz"
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{own}: &{own} [{', '.join([f'*{last}'] * 9)}]" for last, own in pairwise(names)]
    rewrite(place, "\n".join(lines) + "\n")


@hostile()
def merged_aliases(place: Place, config: Config) -> None:
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 40))]
    rewrite(place, "\n".join(lines) + "\n")


@hostile()
def alias_of_itself(place: Place, config: Config) -> None:
    rewrite(place, "data: &a {data: *a}\n")


@hostile()
def deep_configuration(place: Place, config: Config) -> None:
    rewrite(place, "data: " + "[" * 5000 + "]" * 5000 + "\n")


@hostile()
def configuration_elsewhere(place: Place, config: Config) -> None:
    relink(place.folder / "config.yaml", place.outside / "secret")


@hostile()
def deep_record(place: Place, config: Config) -> None:
    record = json.loads((place.folder / "record.json").read_text())
    deep = '{"a":' * 10**5 + "1" + "}" * 10**5
    text = json.dumps({**record, "details": 0}).replace('"details": 0', f'"details": {deep}')
    (place.folder / "record.json").write_text(text)


@hostile()
def nested_record(place: Place, config: Config) -> None:
    details: Any = 1
    for _ in range(400):
        details = [details]
    change_record(place.folder, details={"a": details})


@hostile()
def gigantic_number(place: Place, config: Config) -> None:
    record = json.loads((place.folder / "record.json").read_text())
    change_record(place.folder, factors={**record["factors"], "width": 10**400}, step=10**400)


@hostile()
def record_elsewhere(place: Place, config: Config) -> None:
    shutil.copy(place.folder / "record.json", place.outside / f"{place.folder.name}.json")
    relink(place.folder / "record.json", place.outside / f"{place.folder.name}.json")


@hostile()
def weights_elsewhere(place: Place, config: Config) -> None:
    shutil.copy(place.folder / "weights.safetensors", place.outside / "weights")
    relink(place.folder / "weights.safetensors", place.outside / "weights")


@hostile()
def header_of_weights(place: Place, config: Config) -> None:
    (place.folder / "weights.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")


@hostile()
def pickle_as_weights(place: Place, config: Config) -> None:
    torch.save({"a": Acts(place.touch)}, place.folder / "weights.safetensors")


@hostile(refused=False)
def lock_elsewhere(place: Place, config: Config) -> None:
    relink(place.folder / "lock", place.outside / "secret")
    change_record(place.folder, status="failed", error="it broke")


@hostile(refused=False)
def trained_anew(place: Place, config: Config) -> None:
    config["run"]["rerun"] = True


@hostile(refused=False)
def picture_elsewhere(place: Place, config: Config) -> None:
    relink(place.folder / "samples.png", place.outside / "picture.png")


@hostile(refused=False)
def huge_picture(place: Place, config: Config) -> None:
    (place.folder / "samples.png").unlink(missing_ok=True)
    (place.folder / "samples.png").write_bytes(png(60_000, 60_000, b""))


@hostile(refused=False)
def history_elsewhere(place: Place, config: Config) -> None:
    relink(place.folder / "history.csv", place.outside / "secret")


@hostile(refused=False)
def endless_history(place: Place, config: Config) -> None:
    (place.folder / "history.csv").unlink()
    os.mkfifo(place.folder / "history.csv")


@hostile(refused=False)
def wide_history(place: Place, config: Config) -> None:
    (place.folder / "history.csv").write_text("step,metric,value\n0,loss,1\n1,loss" + ",1" * 10**6 + "\n1e300,loss,1\n")


def external(config: Config, target: str, arguments: dict[str, Any]) -> None:
    config["backbone"] = {
        "_target_": "skiplab.backbones.external.External",
        "target": target,
        "arguments": arguments,
        "inputs": None,
        "level_scale": 1.0,
        "path": "*",
        "kinds": ["identity"],
        "version": None,
    }


def rewrite(place: Place, text: str) -> None:
    """Put another configuration in the place of the record's, which is told by its being there."""
    (place.folder / "config.yaml").write_text(text)


def relink(path: Path, target: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def change_record(folder: Path, **fields: Any) -> None:
    """Change fields of a record as someone would who means harm, without the checksum that tells of a change."""
    content = json.loads((folder / "record.json").read_text())
    content.pop("checksum", None)
    (folder / "record.json").write_text(json.dumps({**content, **fields}))


def forget_hashes(folder: Path) -> None:
    """Take the hashes of its files out of a record, so that a change of them is not told by these."""
    files = json.loads((folder / "record.json").read_text())["files"]
    change_record(folder, files={name: {"bytes": file["bytes"]} for name, file in files.items()})


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A picture of grey levels, which needn't have the pixels that it says it has."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def make_hostile(finished: Path, runs_dir: Path, outside: Path, seed: int, name: str) -> str:
    """A copy of a finished record made hostile, under the key that its configuration has; returns the key."""
    folder = Path(shutil.copytree(finished, runs_dir / f"{seed:016x}"))
    record = json.loads((folder / "record.json").read_text())
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["seed"] = seed
    place = Place(folder, outside)
    before = (folder / "config.yaml").read_text()
    forget_hashes(folder)
    change_record(folder, key=folder.name, factors={**record["factors"], "seed": seed})
    HOSTILE[name](place, config)
    if (folder / "config.yaml").read_text() == before:  # it changed values
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        try:
            key = trial_key(OmegaConf.create(config))
        except Exception:
            return folder.name
        text = (folder / "record.json").read_text().replace(f'"key": "{folder.name}"', f'"key": "{key}"')
        (folder / "record.json").write_text(text)
        (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace(folder.name, key))
        return folder.rename(runs_dir / key).name
    return folder.name
