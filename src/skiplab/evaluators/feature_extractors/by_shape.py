from skiplab.evaluators.feature_extractors.digits_classifier import DigitsClassifier
from skiplab.evaluators.feature_extractors.feature_extractor import FeatureExtractor
from skiplab.evaluators.feature_extractors.raw import Raw


class ByShape(FeatureExtractor):
    """digits_classifier for gray images of 8x8 pixels, and raw for all other data.

    Source: none.
    Differs from the source: none.
    """

    def for_shape(self, shape: tuple[int, ...]) -> FeatureExtractor:
        return DigitsClassifier() if shape == DigitsClassifier.shape else Raw()
