"""The exception that all models raise on data too scarce for them."""


class NotEnoughData(ValueError):
    """The data cannot carry the model; the message says why in one sentence."""
