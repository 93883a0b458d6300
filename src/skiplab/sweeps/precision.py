"""Whether trials are trained in a precision that this machine's processor has no instructions for."""

from collections.abc import Sequence

from skiplab.sweeps.job import Job

# What torch calls processors on which its convolutions in bf16 are loops over single numbers.
_WITHOUT_BF16 = ("NO AVX", "AVX2")


def precision_note(jobs: Sequence[Job]) -> str | None:
    """That bf16 is slow here, for trials that would train in it on the processor; None if none would or it isn't."""
    trainers = [job.config.trainer for job in jobs if job.left and not (job.trained or job.failed)]
    if not any(trainer.precision == "bf16-mixed" and trainer.accelerator == "cpu" for trainer in trainers):
        return None
    import torch  # which a refused sweep needn't wait for

    capability = torch.backends.cpu.get_cpu_capability()
    if capability not in _WITHOUT_BF16:
        return None
    return (
        f"trainer.precision=bf16-mixed is slow here: this processor ({capability}) has no instructions for bf16, and "
        "convolutions take several times as long as in float32 (trainer.precision=32-true)"
    )
