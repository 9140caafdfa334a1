"""The models, one file a paper. The union of their configs is the registry: a new model needs one file and one line here."""

from framecast.models.action import ActionModeRNN, ActionPredRNN
from framecast.models.autoencoders import VAE, VQVAE
from framecast.models.conv_tt_lstm import ConvTTLSTM
from framecast.models.convlstm import ConvLSTM
from framecast.models.crevnet import CrevNet
from framecast.models.e3dlstm import E3DLSTM
from framecast.models.fc_lstm import FCLSTM
from framecast.models.lmc import LMC
from framecast.models.mau import MAU
from framecast.models.mim import MIM
from framecast.models.modernn_dcb import MoDeRNN
from framecast.models.modernn_slots import ModeRNN
from framecast.models.modular import ModularDesign
from framecast.models.motionrnn import MotionRNN
from framecast.models.phydnet import PhyDNet
from framecast.models.prednet import PredNet
from framecast.models.predrnn import PredRNN, PredRNNV2
from framecast.models.predrnn_m import PredRNNMOnly
from framecast.models.predrnnpp import PredRNNPlusPlus
from framecast.models.sa_convlstm import SAConvLSTM
from framecast.models.simvp import TAU, SimVP
from framecast.models.svg import SVG, ActionSVG
from framecast.models.tctn import TCTN
from framecast.models.trajgru import TrajGRU
from framecast.models.unet import UNet

Model = (
    ConvLSTM
    | PredRNN
    | PredRNNV2
    | PredRNNMOnly
    | PredRNNPlusPlus
    | MIM
    | E3DLSTM
    | TrajGRU
    | SAConvLSTM
    | ConvTTLSTM
    | MotionRNN
    | MoDeRNN
    | ModeRNN
    | TCTN
    | PhyDNet
    | SimVP
    | TAU
    | UNet
    | FCLSTM
    | MAU
    | PredNet
    | SVG
    | CrevNet
    | LMC
    | ModularDesign
    | VQVAE
    | VAE
    | ActionPredRNN
    | ActionModeRNN
    | ActionSVG
)

__all__ = [
    "E3DLSTM",
    "FCLSTM",
    "LMC",
    "MAU",
    "MIM",
    "SVG",
    "TAU",
    "TCTN",
    "VAE",
    "VQVAE",
    "ActionModeRNN",
    "ActionPredRNN",
    "ActionSVG",
    "ConvLSTM",
    "ConvTTLSTM",
    "CrevNet",
    "MoDeRNN",
    "ModeRNN",
    "Model",
    "ModularDesign",
    "MotionRNN",
    "PhyDNet",
    "PredNet",
    "PredRNN",
    "PredRNNMOnly",
    "PredRNNPlusPlus",
    "PredRNNV2",
    "SAConvLSTM",
    "SimVP",
    "TrajGRU",
    "UNet",
]
