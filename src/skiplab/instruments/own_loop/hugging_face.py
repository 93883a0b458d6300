"""Instruments as a callback of a Trainer of Hugging Face's transformers, which is imported when one is made."""

from pathlib import Path
from typing import Any

from skiplab.errors import SkiplabError
from skiplab.instruments.own_loop.watch import MakeWatch, Watch


def hugging_face_callback(make_watch: MakeWatch, to: Path | None) -> Any:
    """A TrainerCallback.

    Args:
        make_watch: makes the watch of a network, its file, from the number of the first update.
        to: the file; None for readings.csv in the trainer's output folder.

    Raises:
        SkiplabError: transformers isn't installed.
    """
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise SkiplabError(f"transformers can't be imported: {error}; pip install 'transformers[torch]'") from None

    class WatchTrainer(TrainerCallback):
        """Watches the updates of a Trainer."""

        watch: Watch | None = None

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            self.watch = make_watch(model, to or Path(args.output_dir) / "readings.csv", state.global_step)
            self.watch.start()

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.watch is not None:
                self.watch.begin()

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.watch is not None:
                self.watch.end()

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if self.watch is not None:
                self.watch.close()

    return WatchTrainer()
