"""What a forecast imports: nothing that takes long and that it does not need."""

import subprocess
import sys

HEAVY = ("zarr", "dask.array", "distributed", "matplotlib", "sklearn", "lightning_fabric", "tensorboard", "cartopy")
PROGRAM = f"""
import sys
import framecast
import framecast.cli

framecast.forecast
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def test_a_forecast_imports_only_what_it_needs() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
