"""Random sequences of what goes wrong with archives: each fault has one outcome, whatever stands beside it."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_conversion import START, STEP, archive, write_frame

import framecast
from framecast.data.store.conversion import convert

KINDS = (
    "whole",
    "truncated",
    "empty",
    "text",
    "shape",
    "units",
    "copy",
    "conflict",
    "nodata",
    "absent",
    "unordered",
    "stuck",
    "late",
)
LOST = ("truncated", "empty", "text", "shape", "units")


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=st.lists(st.sampled_from(KINDS), min_size=1, max_size=9))
def test_every_fault_has_one_outcome(tmp_path_factory: pytest.TempPathFactory, faults: list[str]) -> None:
    """What is whole comes through, in the order of time; the rest is named."""
    folder = tmp_path_factory.mktemp("faults")
    source = archive(folder / "source", range(1))
    values, gone = {0: framecast.open(source).values[0]}, set()
    for number, fault in enumerate(faults, 1):
        path = source / f"rain_{number:03d}.nc"
        if fault in ("absent", "late"):
            continue
        write_frame(
            source,
            number,
            height=14 if fault == "shape" else 12,
            units="dBZ" if fault == "units" else "mm/h",
            value={"nodata": np.nan, "stuck": 3.0}.get(fault),
        )
        if fault == "truncated":
            path.write_bytes(path.read_bytes()[:2000])
        elif fault == "empty":
            path.write_bytes(b"")
        elif fault == "text":
            path.write_text("not data")
        elif fault == "unordered":
            path = path.rename(source / f"a_{9 - number:03d}.nc")
        elif fault in ("copy", "conflict"):
            other = write_frame(source, number, value=None if fault == "copy" else 7.0)
            other.rename(source / f"z_again_{number:03d}.nc")
            write_frame(source, number)
        if fault in LOST:
            gone.add(str(path))
        else:
            values[number] = framecast.open(path).values[0]
    first = convert(source, folder / "a.zarr")
    assert set(first.left_out) == gone
    said = " ".join(first.repairs)
    assert ("exact copies" in said) == ("copy" in faults)
    assert ("with the time of another" in said) == ("conflict" in faults)
    check(folder / "a.zarr", values)

    end = max(values)
    for number, fault in enumerate(faults, 1):
        if fault == "late":
            path = write_frame(source, number)
            if number > end:
                values[number] = framecast.open(path).values[0]
            else:
                gone.add(str(path))
    again = convert(source, folder / "a.zarr")
    assert set(again.left_out) == gone
    check(folder / "a.zarr", values)


def check(store: object, values: dict[int, np.ndarray]) -> None:
    """The store holds these frames, by number, and no others."""
    frames = framecast.open(str(store))
    assert frames["time"].values.tolist() == (START + np.array(sorted(values)) * STEP).tolist()
    for place, number in enumerate(sorted(values)):
        np.testing.assert_array_equal(frames.values[place], values[number])
