"""The keys of a claims file, with what each holds: all that `claims_file` takes, and docs/claims_keys.md lists."""

from skiplab.analysis.claims.contrasts import ContrastKind, Direction

ARM_KEYS = {
    "control": "the arm that the other one is compared with",
    "treatment": "the arm that the claim speaks of",
}
FILE_KEYS = {
    "question": "what is asked of the study, for people",
    "factor": "what is compared: an axis such as `connection`, or any setting that the study varies",
    **ARM_KEYS,
    "tuned": "`true` if learning rates are to be tuned for each arm; with any other trials, verdicts say so",
    "looks": "two or more rising numbers of seeds, from 3, at which the study is judged; else once, with all seeds",
    "claims": "a list of claims",
}
TEST_KEYS = {
    **ARM_KEYS,
    "arm": "in place of both, the arm of a `slope` or a `rate`; else the treatment",
    "metric": "a metric of the records' summaries",
    "contrast": "what is computed of the metric for each seed",
    "over": "the factor of a slope, rate, interaction or change; its levels are numbers",
    "mean_over": "factors over whose levels the metric's mean is taken for each seed, before anything else",
    "direction": "what is claimed of the contrast",
    "expected": "with `direction: equal`, the value that a slope or a rate is claimed to equal",
    "smallest_effect": "the smallest effect that counts, on the metric's scale; without it, exploratory",
}
_READS = {"reads": "for each phrase of the sentence, what it stands for in the test"}
PART_KEYS = {"says": "the words of the claim's text that this part tests", **_READS, **TEST_KEYS}
CLAIM_KEYS = {
    "name": "a name of its own in the file",
    "text": "the claim, as a sentence",
    "source": "who claims it, and where",
    "tested_part": "what of the claim the study tests, if not all",
    "cells": "levels of other factors at which it is claimed, a list for each factor; else all",
    "corrected": "the day on which its test was changed after trials that it judges",
    "evidence": "a list of further tests, which can contest the verdict and don't decide it",
    "parts": "two or more tests which must all hold, where the text says several things; in place of one test",
    **_READS,
    **TEST_KEYS,
}
FILE_NEEDS = ("factor", *ARM_KEYS, "claims")
CLAIM_NEEDS = ("name", "text")
TEST_NEEDS = ("metric", "contrast", "direction")
EVIDENCE_NEEDS = ("metric", "direction")
CONTRASTS: dict[ContrastKind, str] = {
    "difference": "treatment minus control",
    "slope": "the change of one arm per doubling of `over`, by least squares over its levels above 0",
    "rate": "the same per unit of `over`",
    "interaction": "the slope of the treatment minus the slope of the control",
    "change": "from the lowest to the highest level of `over`: the change in the treatment minus that in the control",
}
DIRECTIONS: dict[Direction, str] = {
    "higher": "the contrast exceeds `smallest_effect`",
    "lower": "its negative does",
    "not_higher": "the contrast lies below `smallest_effect`",
    "not_lower": "the contrast lies above `-smallest_effect`",
    "equal": "a slope or a rate equals `expected`, to within `smallest_effect`",
}
