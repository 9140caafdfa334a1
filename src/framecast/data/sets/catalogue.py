"""Catalogue of the benchmark sets (`framecast datasets`): source, terms, size, layout on disk and files to download."""

from __future__ import annotations

from dataclasses import dataclass

from framecast.data.sets.download import Remote
from framecast.errors import DataError

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_SEQUENCES = "https://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy"
_BAIR = "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar"


@dataclass(frozen=True)
class DataSetInfo:
    """A data set. `data` is `data.name` in a recipe; `size` is that of the download; `layout` is what `data.path` (for
    digits `data.images`) must hold, `files` what can be fetched."""

    title: str
    short: str
    """The name by which it is fetched."""
    data: str
    source: str
    terms: str
    size: str
    layout: str
    files: tuple[Remote, ...] = ()


CATALOGUE = (
    DataSetInfo(
        "MNIST, for Moving MNIST, V-MNIST and Mixed Moving MNIST",
        "mnist",
        "moving_digits, varied_digits, mixed_digits",
        "http://yann.lecun.com/exdb/mnist/",
        "CC BY-SA 3.0",
        "11.3 MB",
        "train-images-idx3-ubyte.gz and t10k-images-idx3-ubyte.gz",
        (
            Remote(
                f"{_MNIST}/train-images-idx3-ubyte.gz",
                "train-images-idx3-ubyte.gz",
                "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
            ),
            Remote(
                f"{_MNIST}/t10k-images-idx3-ubyte.gz",
                "t10k-images-idx3-ubyte.gz",
                "md5:9fb629c4189551a2d022fa330f9573f3",
            ),
        ),
    ),
    DataSetInfo(
        "Moving MNIST, the fixed test set",
        "moving_mnist_test",
        "archive",
        "https://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy",
        "not known",
        "820 MB",
        "the file itself, as data to evaluate a run on: mnist_test_seq.npy",
        (Remote(_SEQUENCES, "mnist_test_seq.npy", "md5:be083ec986bfe91a449d63653c411eb2"),),
    ),
    DataSetInfo(
        "Moving MNIST as thuml publishes it",
        "moving_mnist_thuml",
        "archive",
        "https://github.com/thuml/predrnn-pytorch",
        "not known",
        "not known",
        "moving-mnist-train.npz, moving-mnist-valid.npz, moving-mnist-test.npz: clips and input_raw_data",
    ),
    DataSetInfo(
        "KTH actions",
        "kth",
        "kth",
        "https://www.csc.kth.se/cvap/actions/",
        "not known",
        "not known; videos, of which the frames have to be cut out",
        "<action>/person01_<action>_d1_uncomp/image_0001.jpg, the frames in which the person is seen",
    ),
    DataSetInfo(
        "Human3.6M",
        "human36m",
        "human36m",
        "http://vision.imar.ro/human3.6m/",
        "for academic use, after registration",
        "not known; videos, of which the frames have to be cut out",
        "S1_Walking_1.54138969_000001.jpg, every fifth frame of each video",
    ),
    DataSetInfo(
        "RoboNet",
        "robonet",
        "robonet",
        "https://www.robonet.wiki/",
        "CC BY 4.0",
        "38.9 GB",
        "<environment>_..._traj<number>.hdf5",
    ),
    DataSetInfo(
        "BAIR robot pushing",
        "bair",
        "bair",
        "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar",
        "not known",
        "32.3 GB",
        "softmotion30_44k/train/*.tfrecords and softmotion30_44k/test/*.tfrecords",
        (
            Remote(
                _BAIR,
                "bair_robot_pushing_dataset_v0.tar",
                "sha256:c6f8d164ab2be07174ef597e3e070d7466f3142caddc467b6af119b9458cd9cd",
            ),
        ),
    ),
    DataSetInfo(
        "TaxiBJ",
        "taxibj",
        "taxibj",
        "https://github.com/TolicWang/DeepST, as repacked for https://github.com/chengtan9907/OpenSTL",
        "not known",
        "not known",
        "dataset.npz with X_train, Y_train, X_test and Y_test",
    ),
    DataSetInfo(
        "SEVIR, vertically integrated liquid",
        "sevir",
        "sevir",
        "s3://sevir (https://registry.opendata.aws/sevir/)",
        "not known",
        "not known; the whole set, of which VIL is a part, takes about 1 TB",
        "CATALOG.csv and data/vil/<year>/*.h5: aws s3 sync --no-sign-request s3://sevir/data/vil DIR/data/vil",
    ),
    DataSetInfo(
        "Radar images, as HKO-7, CIKM 2017, Guangzhou and Shanghai are published",
        "radar_images",
        "archive",
        "from the owner of each",
        "each its own, most for research only, on request",
        "not known",
        "a folder of images of 8 bits, named by time or number; units: pixels hko7, pixels cikm, pixels thuml, pixels tctn",
    ),
)


def find_set(name: str) -> DataSetInfo:
    """The set with the short name `name`, or whose title holds it, or that is called so in a recipe, and whose files can be
    fetched. Raises `DataError`."""
    matches = [info for info in CATALOGUE if name.lower() in info.title.lower() or name in info.data.split(", ")]
    exact = [info for info in CATALOGUE if name.lower() in (info.short, info.title.lower())]
    matches = exact or [info for info in matches if info.files] or matches
    if len(matches) != 1:
        what = f"{len(matches)} sets are called {name!r}" if matches else f"no set is called {name!r}"
        raise DataError(what, remedy=f"sets: {', '.join(info.short for info in matches or CATALOGUE)}")
    if not matches[0].files:
        raise DataError(
            f"{matches[0].title} cannot be fetched from here",
            remedy=f"get it from {matches[0].source} and lay it out so: {matches[0].layout}",
        )
    return matches[0]


def datasets() -> dict[str, DataSetInfo]:
    """The benchmark data sets of the papers by title: source, terms of use, size, and the file layout that framecast reads."""
    return {each.title: each for each in CATALOGUE}
