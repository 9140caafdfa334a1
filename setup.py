"""The loops in C, loaded as libraries, not as Python modules (ops/native/library.py), for three kinds of processors. What a
compiler cannot make is left out; all else is in pyproject.toml."""

from setuptools import Extension, setup

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

setup(
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
    ]
)
