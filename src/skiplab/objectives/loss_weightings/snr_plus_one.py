from skiplab.objectives.loss_weightings.edm import EDM


class SNRPlusOne(EDM):
    """The velocity error has the same weight at every level; for the x0 error, w = alpha^2 / sigma^2 + 1.

    It is EDM's weighting of data with standard deviation 1, (s^2 + 1) / s^2 with s = sigma / alpha.

    Source: Salimans and Ho 2022, Progressive Distillation, arXiv:2202.00512, section 4.
    Differs from the source: for sigma_data other than 1 it is EDM's.

    Args:
        sigma_data: standard deviation of the data, above 0; 1 gives SNR + 1.

    Raises:
        SkiplabError: if sigma_data isn't above 0.
    """
