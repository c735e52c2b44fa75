"""Who is left alone: a draw by keyed hashes, stratified by what was expected of the customers.

Every experiment has a random key of its own, made when it starts and stored with it (:func:`new_key`). Customers are
ordered by HMAC-SHA256 of their id under that key, so that the same customers under the same key are drawn alike, on
every machine and in whatever order they come, and the draws of two experiments are independent. The key is no secret:
whoever reads it can check the draw; nobody could know it before the draw was made.

Within strata of expected spend and churn probability, the order is that of the hashes, and along this order customers
are taken at equal steps from a random start (systematic sampling: Cochran 1977, "Sampling Techniques", chapter 8).
Every customer has the same chance of being left alone, each stratum has its share to within one customer, and so has
the whole audience.
"""

from __future__ import annotations

import hmac
import secrets

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genome_pipeline.errors import ConfigError
from genome_pipeline.models.arrays import Floats
from genome_pipeline.models.genes import by_customer, numbers
from genome_pipeline.models.not_enough_data import NotEnoughData

LEAST_ARM = 50
"""Least customers treated, and least left alone: with fewer, a mean is not near enough to normal for any interval."""

_STRATUM_CUSTOMERS = 20
_MOST_BINS = 5
_DIGITS = 6  # forecasts are rounded before they are compared
_KEY_BYTES = 32
_START = b"\0start"  # no customer id is empty or begins with a NUL


def new_key() -> str:
    """A random key for one experiment, 64 hex digits."""
    return secrets.token_hex(_KEY_BYTES)


def assign(audience: pd.DataFrame, control_share: float, key: str) -> pd.DataFrame:
    """Draw who is left alone: ``customer_id``, ``stratum`` (from 0) and ``is_treated``, by customer.

    Args:
        audience: one row per customer with ``customer_id``, ``expected_spend`` and ``churn_probability``; forecasts
            may be null, and null ones make a stratum.
        control_share: share to be left alone, above 0 and below 1.
        key: of the experiment, as :func:`new_key` makes it.

    Raises:
        ConfigError: the share leaves nobody or everybody alone.
        NotEnoughData: fewer than :data:`LEAST_ARM` customers would be treated, or left alone.
        ValueError: a customer stands in the audience twice.
    """
    check_control_share(control_share)
    customers = by_customer(audience)
    if customers["customer_id"].duplicated().any():
        raise ValueError("a customer stands in the audience twice")
    check_audience(len(customers), control_share)
    strata = _strata(numbers(customers["expected_spend"]), numbers(customers["churn_probability"]))
    secret = bytes.fromhex(key)
    order = np.lexsort((_hashes(secret, customers["customer_id"]), strata))
    start = int.from_bytes(hmac.digest(secret, _START, "sha256")[:8], "big") / 2**64
    steps = np.floor(np.arange(len(order) + 1) * control_share + start)
    is_treated = np.ones(len(order), dtype=bool)
    is_treated[order] = np.diff(steps) == 0
    return pd.DataFrame({"customer_id": customers["customer_id"], "stratum": strata, "is_treated": is_treated})


def check_control_share(control_share: float) -> None:
    """Raise :class:`~genome_pipeline.errors.ConfigError` unless the share is above 0 and below 1."""
    if not 0 < control_share < 1:
        whom = "nobody would be treated" if control_share >= 1 else "nobody would be left alone to compare with"
        raise ConfigError(f"a control of {control_share:.0%}: {whom}; choose a share between 0 and 100%, such as 20%")


def check_audience(customer_count: int, control_share: float) -> None:
    """Raise :class:`~genome_pipeline.models.not_enough_data.NotEnoughData` if an arm would be too small."""
    smaller = min(control_share, 1 - control_share)
    if np.floor(customer_count * smaller) < LEAST_ARM:
        whom = "left alone" if control_share <= 0.5 else "treated"
        needed = int(np.ceil(LEAST_ARM / smaller))
        raise NotEnoughData(
            f"the audience has {customer_count:,} customers, of whom {int(customer_count * smaller):,} would be {whom}:"
            f" an experiment needs {LEAST_ARM}, that is {needed:,} customers at this control share,"
            f" or {2 * LEAST_ARM} at a control of 50%"
        )


def _hash(secret: bytes, customer_id: str) -> bytes:
    return hmac.digest(secret, customer_id.encode(), "sha256")


def _hashes(secret: bytes, customer_ids: pd.Series) -> NDArray[np.bytes_]:
    # As hex digits: NumPy drops trailing NULs of raw bytes.
    return np.array([_hash(secret, one).hex() for one in customer_ids.tolist()], dtype="S")


def _strata(expected_spend: Floats, churn: Floats) -> NDArray[np.int64]:
    """Bins of expected spend, and bins of churn within each; equal customers share a bin, those without one the last.

    There are up to five bins of each, fewer where a stratum would have fewer than 20 customers on average.
    """
    bins = int(np.clip(np.sqrt(expected_spend.size / _STRATUM_CUSTOMERS), 1, _MOST_BINS))
    by_spend = _bins(expected_spend, bins)
    strata = np.zeros(expected_spend.size, dtype=np.int64)
    for name in np.unique(by_spend):
        mine = by_spend == name
        strata[mine] = name * (bins + 1) + _bins(churn[mine], bins)
    return np.unique(strata, return_inverse=True)[1].astype(np.int64)


def _bins(values: Floats, count: int) -> NDArray[np.int64]:
    """The bin from 0 of each value, by quantiles of those that are known; ``count`` for those that are not."""
    rounded = np.round(values, _DIGITS)
    known = np.isfinite(rounded)
    if not known.any():
        return np.full(values.size, count, dtype=np.int64)
    edges = np.quantile(rounded[known], np.arange(1, count) / count, method="inverted_cdf")
    return np.where(known, np.searchsorted(edges, rounded, side="left"), count).astype(np.int64)
