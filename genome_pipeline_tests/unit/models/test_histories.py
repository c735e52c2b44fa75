import numpy as np

from genome_pipeline.models.btyd.histories import sampled_rows


def test_a_sample_of_many_histories_keeps_the_few_who_bought_again() -> None:
    x = np.repeat([0.0, 1.0], [100_000, 10])
    rows, weight = sampled_rows(x)
    assert rows.size == 510
    assert weight[x[rows] > 0].sum() == 10
    assert weight.sum() == x.size
