"""What is known of the benchmark sets: where they come from, under which terms, how large they are and how they must lie."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """A data set. `data` is `data.name` in a recipe; `size` is that of the download; `layout` is what `data.path` (for
    digits `data.images`) must hold."""

    title: str
    data: str
    source: str
    terms: str
    size: str
    layout: str


CATALOGUE = (
    Known(
        "MNIST, for Moving MNIST, V-MNIST and Mixed Moving MNIST",
        "moving_digits, varied_digits, mixed_digits",
        "http://yann.lecun.com/exdb/mnist/",
        "CC BY-SA 3.0",
        "11.3 MB",
        "train-images-idx3-ubyte.gz and t10k-images-idx3-ubyte.gz",
    ),
    Known(
        "Moving MNIST, the fixed test set",
        "archive",
        "https://www.cs.toronto.edu/~nitish/unsupervised_video/mnist_test_seq.npy",
        "not known",
        "820 MB",
        "the file itself: framecast evaluate RUN --data mnist_test_seq.npy",
    ),
    Known(
        "KTH actions",
        "kth",
        "https://www.csc.kth.se/cvap/actions/",
        "not known",
        "not known; videos, of which the frames have to be cut out",
        "<action>/person01_<action>_d1_uncomp/image_0001.jpg, the frames in which the person is seen",
    ),
    Known(
        "Human3.6M",
        "human36m",
        "http://vision.imar.ro/human3.6m/",
        "for academic use, after registration",
        "not known; videos, of which the frames have to be cut out",
        "S1_Walking_1.54138969_000001.jpg, every fifth frame of each video",
    ),
    Known(
        "RoboNet",
        "robonet",
        "https://www.robonet.wiki/",
        "CC BY 4.0",
        "36 GB",
        "<environment>_..._traj<number>.hdf5",
    ),
    Known(
        "BAIR robot pushing",
        "bair",
        "http://rail.eecs.berkeley.edu/datasets/bair_robot_pushing_dataset_v0.tar",
        "not known",
        "30 GB",
        "softmotion30_44k/train/*.tfrecords and softmotion30_44k/test/*.tfrecords",
    ),
)
