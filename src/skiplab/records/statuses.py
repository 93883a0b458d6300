"""The statuses of a trial, as they stand in its record."""

from typing import Literal, get_args

Status = Literal["running", "interrupted", "done", "diverged", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
FINISHED: tuple[Status, ...] = ("done", "diverged")  # trained to the end; 'failed' is a crash
