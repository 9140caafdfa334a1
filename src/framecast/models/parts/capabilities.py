"""Optional capabilities of a model, as Protocols, and the functions by which other packages query them.

Training, forecasting and diagnosis never test the type of a model. They call the functions below, which look for the methods of a
Protocol, so that a model of another package has a capability by having its methods. A model without any is trained in one
stage, can be recorded as a CUDA graph, and has no probe points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from framecast.models.parts.protocols import ModelConfig
from framecast.models.parts.rollout import Feedback
from framecast.types import Prediction, Step


@dataclass(frozen=True)
class Pretraining:
    """The first stage of a two-stage design: `model` is trained alone, and its weights go to the submodule `part` of the network.

    `folder` is that of the trained model (a saved model or its run), or None if it is to be trained, for `iterations` with
    `batch_size` and `learning_rate`.
    """

    model: ModelConfig
    part: str
    folder: str | None
    iterations: int
    batch_size: int
    learning_rate: float


@runtime_checkable
class TwoStageConfig(Protocol):
    """A config of a two-stage design: one part is trained first and then frozen, another works on its latents.

    Its network has the first part as the submodule `Pretraining.part` and a method `encode(frames (B, T, C, H, W)) -> latents
    (B, T, D, h, w)`; in training its `Prediction.target` are latents.
    """

    @property
    def caches_latents(self) -> bool:
        """Whether the latents of all training windows are computed once and kept in the folder of the run."""
        ...

    def pretraining(self) -> Pretraining:
        """The first stage."""
        ...

    def pretrained(self, folder: str) -> Self:
        """The same design with the trained first stage in `folder`."""
        ...

    def trained_part(self, network: Any) -> nn.Module:
        """The part of `network` that the second stage trains, called with latents in place of frames."""
        ...


@runtime_checkable
class Reconstructing(Protocol):
    """A network that reconstructs frames and forecasts none: a still-image autoencoder."""

    def reconstruct(self, frames: Tensor) -> Tensor:
        """`frames (B, T, C, H, W)` through the bottleneck and back."""
        ...


@runtime_checkable
class AutoencoderConfig(Protocol):
    """A config whose network is `Reconstructing`."""

    reconstructs: ClassVar[Literal[True]]


@runtime_checkable
class Autoregressive(Protocol):
    """A network that predicts frame by frame and reads its own predictions, or what `feedback` gives in place of them: frames
    `(B, C, H, W)` for its prediction of frame t + 1 and t. `accepts_feedback` says so."""

    accepts_feedback: ClassVar[Literal[True]]

    def __call__(
        self, frames: Tensor, teacher: Tensor, actions: Tensor | None = None, *, feedback: Feedback | None = None
    ) -> Prediction:
        """As that of a `Network`."""
        ...


@runtime_checkable
class Distributional(Protocol):
    """A network that predicts logits of exceeding rates in place of values."""

    def events(self, frames: Tensor) -> Tensor:
        """What is compared with the probabilities: whether `frames (B, S, 1, H, W)` reach the rates, `(B, S, K, H, W)`."""
        ...

    def expected(self, logits: Tensor) -> Tensor:
        """Scaled values `(B, S, 1, H, W)` for pictures of the `logits (B, S, K, H, W)`."""
        ...


@runtime_checkable
class Sampling(Protocol):
    """A network that draws its forecasts from a distribution: each is a function of noise. `noise_size` is the number of normal
    numbers that a step takes."""

    noise_size: int

    def sample(self, context: Tensor, horizon: int, noise: Tensor, actions: Tensor | None = None) -> Tensor:
        """`context (B, T, C, H, W)`, `noise (B, T + horizon - 1, noise_size)` and, of a model that takes them, `actions (B, T +
        horizon - 1 or more, A)` -> one sample `(B, horizon, C, H, W)`."""
        ...


@runtime_checkable
class Unrecordable(Protocol):
    """A network that may not be recordable as a CUDA graph."""

    def unrecordable(self) -> str | None:
        """Why a training step cannot be recorded, such as a dependence on the values of the data; None if it can."""
        ...


@runtime_checkable
class Probed(Protocol):
    """A submodule at which diagnosis looks while the model runs. `probe` names what is seen there:

    "motion"        `Motion`: filter F' and trend D', both `(B, 18, h, w)`, of one layer at one step (MotionRNN)
    "slots"         the slots, a list of tensors that can be exchanged for each other (ModeRNN)
    "slot_weights"  the weight of each slot, and last of the shortcut, `(B, N + 1)`, or `(B, N)` without shortcut; None where
                    slots are not weighed (ModeRNN)
    "attention"     the weights of each half-step, a list of `(B, D, h, w)` (MoDeRNN)
    "increments"    the increments of both memories in the space of the decoupling loss. Diagnosis calls `observe` itself, with
                    the increments of a layer as inputs: the loss is computed in training only (PredRNN-V2)
    """

    probe: str

    def observe(self, inputs: tuple[Any, ...], output: Any) -> Any:
        """The observation of a call with `inputs` that returned `output`; None for none."""
        ...


@runtime_checkable
class CellState(Protocol):
    """The state of a layer with a cell state C."""

    @property
    def cell(self) -> Tensor:
        """C `(B, D, ...)`."""
        ...


@runtime_checkable
class BusState(Protocol):
    """The state of a layer with a slot bus B (ModeRNN)."""

    @property
    def bus(self) -> Tensor:
        """B `(B, D, h, w)`."""
        ...


def memory_state(step: Step) -> Tensor:
    """The memory of a layer: its slot bus B or its cell state C, and for a layer without either its output H."""
    if isinstance(step.state, BusState):
        return step.state.bus
    return step.state.cell if isinstance(step.state, CellState) else step.hidden


def latent_state(step: Step) -> Tensor:
    """The features in which ModeRNN (2022, section IV-B) looks for modes: the slot bus B of a layer, or its output H."""
    return step.state.bus if isinstance(step.state, BusState) else step.hidden


def two_stages(config: ModelConfig) -> TwoStageConfig | None:
    """`config` as a two-stage design; None if it is none."""
    return config if isinstance(config, TwoStageConfig) else None


def why_unrecordable(network: nn.Module) -> str | None:
    """Why a training step of `network` cannot be recorded as a CUDA graph; None if it can."""
    return network.unrecordable() if isinstance(network, Unrecordable) else None


def predict_future(network: Any, frames: Tensor, context: int, actions: Tensor | None = None) -> Tensor:
    """Forecast the frames after the first `context` of `frames (B, T, C, H, W)`, or reconstruct them by an autoencoder:
    `(B, T - context, C, H, W)`."""
    if isinstance(network, Reconstructing):
        return network.reconstruct(frames[:, context:])
    forecast: Tensor = network.forecast(frames[:, :context], frames.shape[1] - context, actions)
    return forecast


def sampling(network: Any) -> Sampling | None:
    """`network` as one that draws samples; None if it does not."""
    return network if isinstance(network, Sampling) else None


def truth_of(network: nn.Module, frames: Tensor) -> Tensor:
    """What the predictions of `network` are compared with: the `frames (B, S, C, H, W)`, or whether they reach its rates."""
    return network.events(frames) if isinstance(network, Distributional) else frames


def picture_of(network: nn.Module, forecast: Tensor) -> Tensor:
    """A forecast of `network` as frames."""
    return network.expected(forecast) if isinstance(network, Distributional) else forecast


def probed(network: nn.Module, probe: str) -> Sequence[Any]:
    """The submodules of `network` with this probe point, in the order of `modules()`."""
    return [module for module in network.modules() if isinstance(module, Probed) and module.probe == probe]
