from skiplab.blocks.connections.highway_gate import HighwayGate


class ExclusiveGate(HighwayGate):
    """The highway gate as in He et al. 2016, x_{l+1} = (1 - g(x_l)) x_l + g(x_l) f(x_l), g(x) = sigmoid(W x + b).

    The same function as `highway_gate`. It is a separate option so that a study of He et al.'s Table 1 has each row
    under its name, with the best initial bias of that table.

    Source: He et al. 2016, Identity Mappings, arXiv:1603.05027, section 3.1, 'exclusive gating' and Table 1.
    Differs from the source: weights start uniform on +-1/sqrt(width), as in a convolution of PyTorch.

    Args:
        initial_bias: value of b at the start, any real number; the source tries 0 to -10.
    """
