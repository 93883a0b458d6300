"""A private SLURM of one node, for tests: munged, slurmctld and slurmd in a folder, on free ports."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "sinfo", "srun")

CONF = """
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={processors} State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes={host} PriorityTier=10
"""

# Accounting tells submitit what became of a job; a cluster without it has this instead.
SACCT = f"""#!{sys.executable}
import re
import subprocess

print("JobID|State|NodeList")
for line in subprocess.run(["scontrol", "-o", "show", "job"], capture_output=True, text=True).stdout.splitlines():
    job = dict(re.findall(r"(\\S+?)=(\\S*)", line))
    if "JobId" in job:
        name = f"{{job['ArrayJobId']}}_{{job['ArrayTaskId']}}" if "ArrayTaskId" in job else job["JobId"]
        print(f"{{name}}|{{job['JobState']}}|{{job.get('NodeList', '')}}")
"""


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    if os.name != "posix" or os.getuid() != 0:
        return "SLURM's daemons need root"
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"{', '.join(absent)} not installed (Debian: apt-get install slurm-wlm munge)" if absent else ""


class Cluster:
    """Daemons in a folder.

    Args:
        folder: a fresh one; its path must be short, for a socket lies in it.
        processors: how many the node has, by its own word.
    """

    def __init__(self, folder: Path, processors: int = 2) -> None:
        self.folder, self.processors = folder, processors
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))},
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }

    def start(self) -> None:
        for name in ("run", "state", "spool", "bin"):
            (self.folder / name).mkdir()
        key, sacct = self.folder / "munge.key", self.folder / "bin" / "sacct"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        sacct.write_text(SACCT)
        sacct.chmod(0o755)
        ports = dict(zip(("controller_port", "node_port"), free_ports(2), strict=True))
        (self.folder / "slurm.conf").write_text(
            CONF.format(host=socket.gethostname(), folder=self.folder, processors=self.processors, **ports)
        )
        run = self.folder / "run"
        paths = {"key-file": key, "socket": run / "munge.sock", "pid-file": run / "munged.pid"}
        paths |= {"log-file": self.folder / "munged.log", "seed-file": run / "munged.seed"}
        self("munged", "--force", *(f"--{name}={path}" for name, path in paths.items()))
        self("slurmctld", "-c")
        self("slurmd", "-c")
        deadline = time.monotonic() + 30
        while set(self("sinfo", "-h", "-o", "%T", check=False).split()) != {"idle"}:
            assert time.monotonic() < deadline, (self.folder / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        pids = {path.name: int(path.read_text()) for path in (self.folder / "run").glob("*.pid")}
        self("scancel", "--full", "-u", "root", check=False)
        self("scontrol", "shutdown", check=False)
        for name, pid in pids.items():
            deadline = time.monotonic() + (0 if name == "munged.pid" else 10)
            while alive(pid) and time.monotonic() < deadline:
                time.sleep(0.1)
            if alive(pid):
                os.kill(pid, signal.SIGTERM)

    def __call__(self, *command: str, check: bool = True) -> str:
        """What a command of the cluster prints."""
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert not check or ended.returncode == 0, ended.stderr
        return ended.stdout

    def jobs(self) -> list[dict[str, str]]:
        """What the controller knows of each job."""
        lines = self("scontrol", "-o", "show", "job", check=False).splitlines()
        found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in lines]
        return [job for job in found if "JobId" in job]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
