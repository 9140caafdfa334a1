"""The models: one file a paper. The union of their configs is the registry: a new model is one file and one line."""

from framecast.models.convlstm import ConvLSTM
from framecast.models.predrnn import PredRNN, PredRNNV2

Model = ConvLSTM | PredRNN | PredRNNV2

__all__ = ["ConvLSTM", "Model", "PredRNN", "PredRNNV2"]
