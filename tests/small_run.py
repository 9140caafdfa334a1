"""Settings of a training of moments, as they are changed on the command line."""

SMALL_RUN = (
    "data.crop=16",
    "model.kernel=3",
    "training.iterations=4",
    "training.batch_size=2",
    "training.validate_every=2",
    "training.validation_windows=2",
    "training.checkpoint_every=2",
    "training.log_every=1",
)
