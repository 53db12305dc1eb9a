"""The nodes of a plan, each with its sources, weights, shape rule and traits.

Shapes are written with `B` for rows and `T` for steps; sequences carry the lengths of the input
they come from. Every back end lowers each node type once. A new node type is a class in one of
these files, and one function in each of `reference/`, `to_torch/` and `to_onnx/`.
"""

from rnnspec.plan.nodes.attention import ATTENTIONS, Attend, AttentionKind, CopyMix
from rnnspec.plan.nodes.audio import AudioInput, AudioKind, Augmentation
from rnnspec.plan.nodes.calendar import Calendar, CalendarEmbed, CalendarFuture, CalendarInput
from rnnspec.plan.nodes.categories import AheadFlat, CategoriesFuture, CategoriesInput
from rnnspec.plan.nodes.comparison import Compare, CompareKind
from rnnspec.plan.nodes.convolution import (
    BatchNorm,
    Conv,
    Extent,
    Grid,
    LocalPool,
    LocalPoolKind,
    Places,
    Squeeze,
    StackSteps,
    Unflatten,
)
from rnnspec.plan.nodes.decoder import (
    Decoder,
    Delayed,
    Previous,
    PreviousFrame,
    PreviousNumber,
    Scores,
)
from rnnspec.plan.nodes.differences import LastValues
from rnnspec.plan.nodes.distributions import MOST_CORRELATED, SOFTPLUS_FLOOR, Law
from rnnspec.plan.nodes.frames import MOST_COUNTED, FramesOutput, LengthRule
from rnnspec.plan.nodes.inputs import (
    NOISE,
    CategoryInput,
    CharactersInput,
    CopiesInput,
    Elapsed,
    FramesInput,
    FutureInput,
    ImageInput,
    KeysInput,
    Missing,
    NestedInput,
    Observed,
    Picture,
    PictureAugmentation,
    PictureSteps,
    SeriesInput,
    TokenKind,
    TokensInput,
    VectorInput,
    WindowKind,
    WindowMoments,
)
from rnnspec.plan.nodes.lags import Lags, LagsAhead, Latest
from rnnspec.plan.nodes.layers import (
    Activate,
    Activation,
    Combine,
    CombineKind,
    Dense,
    Dropout,
    Embed,
    Highway,
    Join,
    Normalize,
    PerStep,
    Pool,
    PoolKind,
    Residual,
    Unnest,
)
from rnnspec.plan.nodes.node import (
    STEPS,
    FromData,
    FromVectors,
    Initializers,
    Node,
    Shape,
    Shapes,
    State,
    Vectors,
    Weight,
)
from rnnspec.plan.nodes.ordinal import Ordinal
from rnnspec.plan.nodes.outputs import (
    FORBIDDEN,
    LOWEST_STEP,
    LOWEST_TRANSITION,
    AlignedOutput,
    ChainOutput,
    ClassOutput,
    CtcOutput,
    ForecastOutput,
    LabelsOutput,
    NumberedOutput,
    NumericOutput,
    SearchedOutput,
    StatesOutput,
    TextKind,
    TextOutput,
    TransducerOutput,
    WrittenOutput,
)
from rnnspec.plan.nodes.plan import (
    Cardinality,
    Derived,
    Input,
    Output,
    Plan,
    Target,
    directions_read,
    shapes,
    shared_weights,
    verify,
    weights,
)
from rnnspec.plan.nodes.pointers import FIRST_STEP, Pointed, Pointer, PointerOutput
from rnnspec.plan.nodes.positions import NOWHERE, PositionOutput
from rnnspec.plan.nodes.recurrent import (
    Direction,
    FinalState,
    InitialState,
    Merge,
    MergeKind,
    Recurrent,
)
from rnnspec.plan.nodes.search import (
    BEST_PATH,
    GREEDY,
    TRANSDUCER_GREEDY,
    AnySearch,
    Beam,
    BestPath,
    Constraints,
    CtcSearch,
    Greedy,
    LengthNorm,
    PrefixBeam,
    Sample,
    Search,
    Stop,
    TransducerBeam,
    TransducerGreedy,
    TransducerSearch,
)
from rnnspec.plan.nodes.seasonal import AddBase, SeasonAgo

NODE_TYPES: tuple[type[Node], ...] = tuple(
    value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, Node) and value is not Node
)
"""Every type of node: each table by node type lists them all."""
