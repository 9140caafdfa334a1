"""The table of faults in the input or in a forecast, and what each leads to: the one declaration of the fallback ladder.

`docs/fallback.md` shows it. Code names a fault where it is found; a test holds each to what it `leads_to`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

LeadsTo = Literal["same rung", "frame left out", "next rung", "nothing"]
"""`same rung`: the fault is reported only. `frame left out`: the frame is treated as missing; a single missing frame of the
context is interpolated along the motion, and a rung that needs more frames than there are in a row is left. `next rung`: this
rung is left. `nothing`: no rung can forecast."""


class Fault(NamedTuple):
    """A fault: its `name`, its `meaning`, and what it `leads_to`."""

    name: str
    meaning: str
    leads_to: LeadsTo


FAULTS = {
    fault.name: fault
    for fault in (
        # the frames
        Fault("no_frames", "there are no frames, or none that can be used", "nothing"),
        Fault("other_quantity", "the frames are of another quantity or unit, which cannot be converted", "nothing"),
        Fault("other_grid", "the frames lie on another grid than stated", "nothing"),
        Fault("unknown_step", "a single frame, and no time step is stated", "nothing"),
        Fault("too_old", "the newest frame is older than the maximum age", "nothing"),
        Fault("missing", "no frame at a time of the context", "frame left out"),
        Fault("damaged", "a frame cannot be read", "frame left out"),
        Fault("empty", "a frame has no data at all", "frame left out"),
        Fault("off_clock", "a frame lies between the times of the regular clock", "frame left out"),
        Fault("future", "a frame has a time after the present one", "frame left out"),
        Fault("frozen", "a frame is identical to the one before it, and not dry", "frame left out"),
        Fault(
            "shrunken",
            "the newest frame covers less than half of what the one before covers, or an older frame less than half of what "
            "the newest covers",
            "frame left out",
        ),
        Fault("impossible", "pixels infinite, or beyond what the quantity can be: they count as no data", "same rung"),
        Fault("smaller", "frames before the newest cover more than it: the forecast is for its area", "same rung"),
        Fault("bridged", "one frame of the context is left out: it is interpolated along the motion", "same rung"),
        Fault("late", "the newest frame is two or more time steps old", "same rung"),
        Fault("dry", "the newest frame is wholly dry", "same rung"),
        Fault("converted", "reflectivity is converted to rain rate", "same rung"),
        # a rung
        Fault("too_few", "fewer frames in a row than the rung needs", "next rung"),
        Fault("left_out", "the caller leaves the rung out, for lack of time for example", "next rung"),
        Fault("failed", "the rung cannot be loaded or raises an error", "next rung"),
        Fault("out_of_memory", "the memory does not suffice for the rung", "next rung"),
        Fault("not_finite", "the forecast is infinite, or has no values where the newest frame has data", "next rung"),
        Fault("implausible", "values that the quantity excludes, or far above all in the context", "next rung"),
    )
}
"""The table, by name."""


class Reason(NamedTuple):
    """A fault that was found, and the particulars in words."""

    fault: Fault
    particulars: str

    def __str__(self) -> str:
        return f"{self.fault.name}: {self.particulars}"


def reason(name: str, particulars: str) -> Reason:
    """A reason by the name of its fault."""
    return Reason(FAULTS[name], particulars)
