"""Pieces are whole stored chunks of a bounded size."""

from hypothesis import given
from hypothesis import strategies as st

from framecast.data.chunking import CHUNK_BYTES, chunk_lengths

sizes = st.fixed_dictionaries(
    {"time": st.integers(1, 5000), "y": st.integers(1, 4000), "x": st.integers(1, 4000)},
    optional={"sequence": st.integers(1, 20_000), "channel": st.integers(1, 4)},
)
stored = st.dictionaries(st.sampled_from(["sequence", "time", "y", "x"]), st.integers(1, 512))


def volume(lengths: dict[str, int]) -> int:
    total = 4
    for length in lengths.values():
        total *= length
    return total


@given(sizes=sizes, stored=stored)
def test_a_piece_is_whole_stored_chunks(sizes: dict[str, int], stored: dict[str, int]) -> None:
    chosen = chunk_lengths(sizes, stored)
    assert chosen.keys() == sizes.keys()
    for dim, length in chosen.items():
        assert 1 <= length <= sizes[dim]
        assert length == sizes[dim] or length % stored.get(dim, 1) == 0


@given(sizes=sizes, stored=stored)
def test_a_piece_is_small_unless_one_stored_chunk_is_large(sizes: dict[str, int], stored: dict[str, int]) -> None:
    chosen = chunk_lengths(sizes, stored)
    one_chunk = all(chosen[dim] == min(sizes[dim], stored.get(dim, 1)) for dim in ("time", "sequence") if dim in sizes)
    assert volume(chosen) <= CHUNK_BYTES or one_chunk


def test_clips_are_read_many_at_a_time_and_radar_frames_one_at_a_time() -> None:
    assert chunk_lengths({"sequence": 10_000, "time": 20, "y": 64, "x": 64}) == {
        "sequence": 12,
        "time": 20,
        "y": 64,
        "x": 64,
    }
    assert chunk_lengths({"time": 40, "y": 1226, "x": 760}, {"time": 1, "y": 512, "x": 512})["time"] == 1


def test_frames_are_cut_in_space_only_where_they_are_large_and_the_file_is_cut() -> None:
    large = {"time": 4, "y": 3500, "x": 7000}
    assert chunk_lengths(large)["y"] == 3500
    assert chunk_lengths(large, {"time": 1, "y": 500, "x": 500}) == {"time": 4, "y": 500, "x": 500}
    assert chunk_lengths({"time": 4, "y": 600, "x": 600}, {"time": 1, "y": 100, "x": 100})["y"] == 600
