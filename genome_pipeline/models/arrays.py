"""The type of numeric arrays, whose shapes docstrings give."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
