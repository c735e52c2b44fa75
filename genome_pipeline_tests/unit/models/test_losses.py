import numpy as np
import pytest

from genome_pipeline.models.losses import log_losses, poisson_deviances


def test_log_loss_is_finite_for_certain_errors() -> None:
    assert log_losses(np.array([True, True]), np.array([0.0, 1.0])) == pytest.approx([-np.log(1e-6), 0.0], abs=2e-6)


def test_poisson_deviance_by_hand() -> None:
    # A prediction of 0 counts as 1% of the mean actual, here .02; negative spend as 0.
    found = poisson_deviances(np.array([0.0, 4.0, -1.0, 4.0]), np.array([0.5, 2.0, 1.0, 0.0]))
    assert found == pytest.approx([1, 2 * (4 * np.log(2) - 2), 2, 2 * (4 * np.log(4 / 0.02) - 4 + 0.02)])
