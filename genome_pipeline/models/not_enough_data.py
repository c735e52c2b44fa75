"""The refusal that all models share."""


class NotEnoughData(ValueError):
    """The data cannot carry the model; the message says why in one sentence."""
