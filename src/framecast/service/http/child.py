"""The process that makes one forecast on request: FOLDER FORECASTER HORIZON MEGABYTES SECONDS.

It limits its memory and its time before anything is opened, reads FOLDER/frames.nc and writes FOLDER/forecast.nc. Exit code 0 is
done, 2 an error in the frames, with its message on stderr; anything else a limit or an error of framecast.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def main(folder: Path, forecaster: str, horizon: int, megabytes: int, seconds: int) -> int:
    """Make the forecast; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    import framecast

    try:
        framecast.forecast(forecaster, folder / "frames.nc", horizon, out=folder / "forecast.nc")
    except framecast.FramecastError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    folder, forecaster, *numbers = sys.argv[1:]
    sys.exit(main(Path(folder), forecaster, *map(int, numbers)))
