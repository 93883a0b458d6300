from skiplab.blocks.connection import Connection


class HalfLife(Connection):
    """The stream fades as it goes, x_{l+1} = x_l / 2 + f(x_l). Write your own idea here."""

    def join(self, stream, update, cond):
        return stream / 2 + update
