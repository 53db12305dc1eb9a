"""The spec: models of the YAML file, loading, and checks."""

from rnnspec.spec.base import SequenceInput
from rnnspec.spec.calendar import CalendarInput
from rnnspec.spec.data import Data
from rnnspec.spec.head import AttentionPooling, Head, LastPooling
from rnnspec.spec.inputs import (
    AudioInput,
    BytesInput,
    CategoriesInput,
    CategoryInput,
    CharsInput,
    FramesInput,
    ImageInput,
    Input,
    KeysInput,
    NumberInput,
    SeriesInput,
    Spelling,
    StaticInput,
    SubwordsInput,
    TokensInput,
    VectorInput,
    VideoInput,
    WordsInput,
)
from rnnspec.spec.layers import Layer
from rnnspec.spec.load import LoadedSpec, load_spec, resolved_yaml
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.optimizers import SGD, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop
from rnnspec.spec.outputs import (
    CharsOutput,
    ClassOutput,
    ForecastOutput,
    FramesOutput,
    KeysOutput,
    LabelsOutput,
    NextOutput,
    NumberOutput,
    OrdinalOutput,
    Output,
    PointedOutput,
    PositionOutput,
    PositionsOutput,
    SpanOutput,
    StatesOutput,
    TagsOutput,
    Target,
    TokensOutput,
    VectorOutput,
    WordsOutput,
)
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec
from rnnspec.spec.train import Train
