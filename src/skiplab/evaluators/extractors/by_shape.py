from skiplab.evaluators.extractors.digits_classifier import DigitsClassifier
from skiplab.evaluators.extractors.extractor import Extractor
from skiplab.evaluators.extractors.raw import Raw


class ByShape(Extractor):
    """digits_classifier for what it takes, grey images of 8x8 pixels, and raw for all other data.

    Source: none.
    Differs from the source: none.
    """

    def for_shape(self, shape: tuple[int, ...]) -> Extractor:
        return DigitsClassifier() if shape == DigitsClassifier.shape else Raw()
