from skiplab.data.dataset import Split
from skiplab.data.digits import Digits


class DigitsPoints(Digits):
    """The digits of `Digits` as points of 64 numbers, for networks without positions.

    Source: as for `Digits`.
    Differs from the source: pixels in rows, one after another.

    Shapes: points (sample, 64), labels (sample,) of 0 to 9.

    Args:
        num_val: validation points, from 1 to 1,796.
        split_seed: seed of the split; the same for every trial of a study.

    Raises:
        SkiplabError: if num_val leaves a part empty.
    """

    def __init__(self, *, num_val: int, split_seed: int) -> None:
        super().__init__(num_val=num_val, split_seed=split_seed)
        self.train, self.val = (Split(split.stored.flatten(1), split.labels) for split in (self.train, self.val))
