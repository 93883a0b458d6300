"""What only prints or reads loads no torch; import-linter checks the modules, this what is loaded in a process."""

import json
import subprocess
import sys

from option_files import PACKAGE

PROGRAM = """
import contextlib, importlib, json, sys
import skiplab
dir(skiplab)
after_import = sorted(sys.modules)
from skiplab.cli import main
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(None):
    main(["--help"])
after_help = sorted(sys.modules)
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps([after_import, after_help, sorted(sys.modules)]))
"""


def test_neither_the_package_nor_help_nor_the_analysis_loads_torch() -> None:
    modules = [
        "skiplab." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for path in (PACKAGE / "analysis").rglob("*.py")
        if path.stem != "__init__"
    ]
    command = [sys.executable, "-c", PROGRAM, json.dumps(modules)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)
    after_import, after_help, after_analysis = (
        {name.split(".")[0] for name in loaded} for loaded in json.loads(answer.stdout.splitlines()[-1])
    )
    assert "skiplab" in after_import
    assert not after_import & {"torch", "hydra", "pandas", "pytorch_lightning"}
    assert not after_help & {"torch", "hydra", "pandas", "pytorch_lightning"}
    assert not after_analysis & {"torch", "pytorch_lightning", "lightning_fabric", "torchmetrics", "wandb"}
