"""skiplab: what do residual connections buy a network? Trained with and without, nothing else changed."""

__version__ = "0.1.0"


def load(folder, *, data_path=None, trust=False):
    """The data, the objective and the trained model of a record: `skiplab.load(folder).model`.

    `data_path` is where the files of its data lie, if they were moved; `trust` lets a record make what is no option of
    skiplab.
    """
    from skiplab.training.load import load  # torch is imported when it is needed

    return load(folder, data_path=data_path, trust=trust)


def find_shortcuts(model, example_inputs):
    """Every shortcut of any network, by running it once: see `skiplab.surgery.find_shortcuts`."""
    from skiplab.surgery.find_shortcuts import find_shortcuts

    return find_shortcuts(model, example_inputs)


def ablate(model, connection, where):
    """A network with connections in the place of its shortcuts: see `skiplab.ablation`."""
    from skiplab.ablation import ablate

    return ablate(model, connection, where)


def restore(model):
    """A network with its shortcuts as they were before `ablate`."""
    from skiplab.surgery.ablate import restore

    return restore(model)


def study(model_factory, data, **asked):
    """A small study of a network of one's own: see `skiplab.factory_study`."""
    from skiplab.factory_study.study import study

    return study(model_factory, data, **asked)
