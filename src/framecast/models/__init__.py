"""The models: one file a paper. The union of their configs is the registry: a new model is one file and one line."""

from framecast.models.action import ActionModeRNN, ActionPredRNN
from framecast.models.autoencoders import VAE, VQVAE
from framecast.models.convlstm import ConvLSTM
from framecast.models.e3dlstm import E3DLSTM
from framecast.models.mim import MIM
from framecast.models.modernn_dcb import MoDeRNN
from framecast.models.modernn_slots import ModeRNN
from framecast.models.modular import ModularDesign
from framecast.models.motionrnn import MotionRNN
from framecast.models.predrnn import PredRNN, PredRNNV2
from framecast.models.predrnn_m import PredRNNMOnly
from framecast.models.predrnnpp import PredRNNPlusPlus
from framecast.models.tctn import TCTN

Model = (
    ConvLSTM
    | PredRNN
    | PredRNNV2
    | PredRNNMOnly
    | PredRNNPlusPlus
    | MIM
    | E3DLSTM
    | MotionRNN
    | MoDeRNN
    | ModeRNN
    | TCTN
    | ModularDesign
    | VQVAE
    | VAE
    | ActionPredRNN
    | ActionModeRNN
)

__all__ = [
    "E3DLSTM",
    "MIM",
    "TCTN",
    "VAE",
    "VQVAE",
    "ActionModeRNN",
    "ActionPredRNN",
    "ConvLSTM",
    "MoDeRNN",
    "ModeRNN",
    "Model",
    "ModularDesign",
    "MotionRNN",
    "PredRNN",
    "PredRNNMOnly",
    "PredRNNPlusPlus",
    "PredRNNV2",
]
