"""What is warned of in a round, and would be in every other."""


class RoundWarning(UserWarning):
    """About one round. Its numbers change from round to round, what it says does not: whoever listens tells it once."""
