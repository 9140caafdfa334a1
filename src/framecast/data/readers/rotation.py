"""How images and video are to be shown: the orientation that EXIF states, and the display matrix of a video stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_ONE = 1 << 16
"""1 in the fixed-point numbers of a display matrix."""


class Turn(NamedTuple):
    """What is done to frames as stored: rows and columns are exchanged, then rows are reversed, then columns."""

    transposed: bool = False
    rows: bool = False
    columns: bool = False

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of what is shown, for those of what is stored; the reverse is the same."""
        return (width, height) if self.transposed else (height, width)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Frames `(..., H, W)` as they are shown."""
        values = values.swapaxes(-1, -2) if self.transposed else values
        rows, columns = (slice(None, None, -1 if reverse else None) for reverse in self[1:])
        return np.ascontiguousarray(values[..., rows, columns])


AS_STORED = Turn()
_EXIF = {
    2: Turn(columns=True),
    3: Turn(rows=True, columns=True),
    4: Turn(rows=True),
    5: Turn(transposed=True),
    6: Turn(transposed=True, columns=True),
    7: Turn(transposed=True, rows=True, columns=True),
    8: Turn(transposed=True, rows=True),
}
"""By the value of the tag Orientation (274)."""


def turn_of_exif(orientation: object) -> Turn:
    """The turn of a value of the EXIF tag Orientation; none for a value that it does not have."""
    return _EXIF.get(orientation, AS_STORED) if isinstance(orientation, int) else AS_STORED


def turn_of_matrix(matrix: bytes) -> Turn | None:
    """The turn of a display matrix, nine 32-bit numbers of which the first two of the first two rows rotate: (x, y) is shown at
    (a x + c y, b x + d y). None for an angle that is no multiple of 90 degrees."""
    if len(matrix) < 36:
        return AS_STORED
    a, b, _, c, d = (round(int(number) / _ONE) for number in np.frombuffer(matrix[:20], np.int32))
    if (abs(a), abs(b), abs(c), abs(d)) == (1, 0, 0, 1):
        return Turn(rows=d < 0, columns=a < 0)
    if (abs(a), abs(b), abs(c), abs(d)) == (0, 1, 1, 0):
        return Turn(transposed=True, rows=b < 0, columns=c < 0)
    return None
