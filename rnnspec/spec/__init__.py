"""The spec: what a YAML file may say, read and checked."""

from rnnspec.spec.cell import CellDefinition, Parameter
from rnnspec.spec.data import (
    CharsInput,
    ClassOutput,
    Data,
    FramesInput,
    Input,
    NumberOutput,
    Output,
    VectorOutput,
    WordsInput,
)
from rnnspec.spec.encoder import Encoder, Layer, LayerInit
from rnnspec.spec.head import (
    AttentionPooling,
    Head,
    LastPooling,
    MaxPooling,
    MeanPooling,
    Pooling,
)
from rnnspec.spec.load import LoadedSpec, load_spec, resolved_yaml
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import SGD, Adam, AdamW, EarlyStopping, Optimizer, Train

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "AttentionPooling",
    "CellDefinition",
    "CharsInput",
    "ClassOutput",
    "Data",
    "EarlyStopping",
    "Encoder",
    "FramesInput",
    "Head",
    "Input",
    "LastPooling",
    "Layer",
    "LayerInit",
    "LoadedSpec",
    "MaxPooling",
    "MeanPooling",
    "NumberOutput",
    "Optimizer",
    "Output",
    "Parameter",
    "Pooling",
    "Spec",
    "Train",
    "VectorOutput",
    "WordsInput",
    "load_spec",
    "resolved_yaml",
]
