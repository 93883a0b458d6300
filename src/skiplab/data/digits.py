import torch

from skiplab.data.dataset import Dataset, Split
from skiplab.data.scikit_learn_files import read_digits
from skiplab.errors import SkiplabError


class Digits(Dataset):
    """The 1,797 handwritten digits of 8x8 pixels that come with scikit-learn; no download.

    Pixels of 0 to 16 become x = pixel / 8 - 1, in [-1, 1].

    Source: Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits, UCI; the copy of
        `sklearn.datasets.load_digits`, which is UCI's test part.
    Differs from the source: split at random once, into training and validation.

    Shapes: images (sample, 1, 8, 8), labels (sample,) of 0 to 9.

    Args:
        num_val: validation images, from 1 to 1,796.
        split_seed: seed of the split; the same for every trial of a study.

    Raises:
        SkiplabError: if num_val leaves a part empty.
    """

    num_classes = 10

    def __init__(self, *, num_val: int, split_seed: int) -> None:
        pixels, digits = read_digits()
        total = len(pixels)
        if not 1 <= num_val < total:
            raise SkiplabError(f"data.num_val={num_val} is invalid; valid: 1 to {total - 1}")
        images = torch.from_numpy(pixels).float()[:, None] / 8 - 1
        labels = torch.from_numpy(digits).long()
        order = torch.randperm(total, generator=torch.Generator().manual_seed(split_seed))
        val, train = order[:num_val], order[num_val:]
        self.train = Split(images[train], labels[train])
        self.val = Split(images[val], labels[val])
