"""A connection that keeps a trial at work without using a core, for tests that stop it there.

`connection=plain connection._target_=waiting_connection.Waiting`, in a process that finds this folder.
"""

import os
import time
from pathlib import Path

from skiplab.blocks.connections.plain import Plain

WAITING = ("connection=plain", f"connection._target_={__name__}.Waiting")
FOLDER = str(Path(__file__).parent)


class Waiting(Plain):
    """Slow to train where WAIT is set, until SLURM has restarted its job twice; slow to build where BUILD names a file.

    That file appears when the building begins.
    """

    @property
    def waits(self):
        return "WAIT" in os.environ and int(os.environ.get("SLURM_RESTART_COUNT", 0)) < 2

    def __init__(self, spec):
        super().__init__(spec)
        if "BUILD" in os.environ:
            Path(os.environ["BUILD"]).touch()
            time.sleep(60)

    def join(self, stream, update, cond):
        if self.waits and self.training:
            time.sleep(0.02)
        return super().join(stream, update, cond)
