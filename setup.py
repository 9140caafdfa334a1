"""The loops in C, which are plain libraries that `ops/native/library.py` loads with ctypes, for three kinds of processors. What a
compiler cannot make is left out, so a wheel is for any Python 3: py3-none-PLATFORM with loops, py3-none-any without. All else is
in pyproject.toml."""

from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

SOURCES = (
    "attention",
    "frames",
    "gates",
    "pointwise",
    "products",
    "slots",
    "windows",
    "winograd_6",
    "winograd_8",
    "winograd_10",
)
HEADERS = ("exponential", "lanes", "matrix", "non_temporal", "threads", "transforms", "winograd")
PROCESSORS = {
    "": (),
    "_avx2": ("-mavx2", "-mfma", "-DLANES=8"),
    "_avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-DLANES=16"),
}


class BuildLibraries(build_ext):
    """Builds the libraries under names without the tag of one Python: _loops.so."""

    def get_ext_filename(self, fullname: str) -> str:
        return str(Path(*fullname.split(".")).with_suffix(".so"))

    def has_library(self) -> bool:
        """Whether the compiler made any."""
        return any(Path(self.get_ext_fullpath(each.name)).is_file() for each in self.extensions)


class Wheel(bdist_wheel):
    """A wheel for any Python 3, of a platform if it holds a library."""

    def run(self) -> None:
        self.run_command("build_ext")
        if not self.get_finalized_command("build_ext").has_library():
            self.distribution.ext_modules = []
            self.root_is_pure = True
        super().run()

    def get_tag(self) -> tuple[str, str, str]:
        *_, platform = super().get_tag()
        return "py3", "none", platform


setup(
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": Wheel},
    ext_modules=[
        Extension(
            f"framecast.ops.native._loops{kind}",
            sources=[f"src/framecast/ops/native/{name}.c" for name in SOURCES],
            depends=[f"src/framecast/ops/native/{name}.h" for name in HEADERS],
            extra_compile_args=["-std=gnu11", "-O3", "-fopenmp", *flags],
            extra_link_args=["-fopenmp"],
            optional=True,
        )
        for kind, flags in PROCESSORS.items()
    ],
)
