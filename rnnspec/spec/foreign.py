"""Words of other tools, for the messages that say what they are called here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain

from rnnspec.source.problems import did_you_mean

BEAMS = ("beam", "beam_size", "beam_width", "num_beams")
"""Keys in other tools of the number of answers that a search keeps."""
FOREIGN: Mapping[str, tuple[str, ...]] = {
    "units": ("hidden_size", "hidden_dim", "size", "width"),
    "repeat": ("num_layers", "n_layers", "depth"),
    "direction": ("bidirectional",),
    "cell": ("type", "kind", "lstm", "gru", "rnn"),
    "as": ("type", "kind"),
    "lr": ("learning_rate",),
    "embed": ("embedding", "embedding_dim"),
    "batch": ("batch_size",),
    "epochs": ("max_epochs",),
    "clip_norm": ("grad_clip", "gradient_clip"),
    "loss": ("criterion",),
    "valid": ("validation", "dev"),
    "min_count": ("min_freq",),
    "fold_case": ("lower", "lowercase"),
    "scale": ("normalize",),
    "merge": ("merge_mode",),
    "norm": ("layer_norm", "normalization", "batch_norm", "batchnorm", "layernorm"),
    "dropout_per": ("variational_dropout",),
    "init": ("initializer",),
    "trained": ("trainable",),
    "sizes": ("proj_size",),
    "l2": ("weight_decay", "regularizer"),
    "schedule": ("scheduler", "lr_schedule", "lr_scheduler"),
    "window": ("bptt", "truncated_bptt"),
    "accumulate": ("gradient_accumulation", "accumulate_grad_batches"),
    "precision": ("mixed_precision", "dtype"),
    "average_last": ("swa",),
    "warmup": ("warmup_steps",),
    "tokens": ("max_tokens",),
    "rate": ("sample_rate", "sampling_rate", "sr"),
    "log_mel": ("fbank", "n_mels", "num_mel_bins"),
    "mfcc": ("n_mfcc",),
    "mel": ("bands", "n_mels", "num_mel_bins"),
    "hop": ("hop_length", "frame_shift"),
    "augment": ("augmentation", "specaugment"),
    "conv": ("convolution", "conv1d", "conv2d", "conv3d", "cnn"),
    "size": ("kernel_size", "kernel", "pool_size", "filter_size", "vocab_size"),
    "width": ("size",),
    "pool": ("max_pool", "maxpool", "avg_pool", "avgpool", "mean_pool", "pooling"),
    "dense": ("linear", "fully_connected", "fc"),
    "squeeze": ("flatten",),
    "delimiter": ("separator", "sep", "delim", "field_separator"),
    "quote": ("quotechar", "quote_char"),
    "skip": ("residual", "highway", "skiprows", "skip_rows"),
    "missing": ("na_values", "null_values", "nulls", "nan_values"),
    "dates": ("date_format", "parse_dates", "datetime_format"),
    "encoding": ("charset", "codec"),
    "decimal": ("decimal_comma", "decimal_separator"),
    "start_from": ("pretrained", "init_from", "checkpoint", "finetune"),
    "freeze": ("frozen", "freeze_layers"),
    "join": ("concat", "concatenate", "add"),
    "inputs": ("reads", "columns"),
    "strategy": (*BEAMS, "decoding"),
    "max_steps": ("max_length", "max_len"),
    "max_span": ("max_length", "max_answer_length"),
    "max_size": ("vocab_size", "max_vocab", "max_features"),
    "heads": ("num_heads", "n_heads", "nhead"),
    "horizon": ("prediction_length", "n_ahead"),
    "history": ("lookback", "context_length", "input_length", "input_chunk_length"),
    "every": ("freq", "frequency"),
    "season": ("seasonality", "period"),
    "distribution": ("likelihood",),
    "seed": ("random_state", "random_seed"),
    "activation": ("act", "nonlinearity", "relu", "tanh", "sigmoid", "gelu", "elu", "silu"),
}
"""Keys of a spec, and what they are called in other tools."""

SYNONYMS = {
    word: tuple(key for key, words in FOREIGN.items() if word in words)
    for word in chain.from_iterable(FOREIGN.values())
}
"""Keys of other tools, and the keys of a spec that they stand for."""


SWITCHES: Mapping[str, str] = {
    "bidirectional": "bidirectional",
    "layer_norm": "layer",
    "residual": "residual",
    "highway": "highway",
    "variational_dropout": "sequence",
    "batch_norm": "batch",
    "batchnorm": "batch",
    "layernorm": "layer",
    "flatten": "flatten",
}
"""Keys that are true or false in other tools, and the value that means true here."""


_CALLED_ALIKE = ("lstm", "gru", "rnn", "relu", "tanh", "sigmoid", "gelu", "elu", "silu", "concat")
NAMED: Mapping[str, str] = {
    **{word: word for word in _CALLED_ALIKE},
    "concatenate": "concat",
    "add": "sum",
    "max_pool": "max",
    "maxpool": "max",
    "avg_pool": "mean",
    "avgpool": "mean",
    "mean_pool": "mean",
}
"""Keys in other tools that are values here, of the key that they stand for."""
VALUES: Mapping[str, str] = {
    "avg": "mean",
    "average": "mean",
    "maximum": "max",
    "add": "sum",
    "plus": "sum",
    "multiply": "mul",
    "product": "mul",
    "concatenate": "concat",
    "cat": "concat",
    "swish": "silu",
    "linear": "none",
    "identity": "none",
    "batchnorm": "batch",
    "batch_norm": "batch",
    "layernorm": "layer",
    "layer_norm": "layer",
    "bahdanau": "additive",
    "luong": "general",
    "normal": "gaussian",
    "student": "student_t",
    "studentt": "student_t",
    "negbin": "negative_binomial",
    "mdn": "mixture",
    "mean_squared_error": "mse",
    "l2": "mse",
    "mean_absolute_error": "mae",
    "l1": "mae",
    "smooth_l1": "huber",
    "bce": "cross_entropy",
    "crossentropy": "cross_entropy",
    "label": "class",
    "ordered": "ordinal",
    "ordered_class": "ordinal",
    "ordinal_regression": "ordinal",
    "mamba": "s6",
    "gla": "gated_linear_attention",
    "deltanet": "delta_rule",
    "gated_deltanet": "gated_delta_rule",
    "xlstm": "mlstm",
    "classification": "class",
    "categorical": "category",
    "multilabel": "labels",
    "regression": "number",
    "numeric": "number",
    "float": "number",
    "sound": "audio",
    "wav": "audio",
    "picture": "image",
    "timeseries": "series",
    "time_series": "series",
    "iob": "iob1",
    "iob2": "bio",
    "bilou": "bioes",
    "biluo": "bioes",
    "iobes": "bioes",
    "same": "input",
    "both": "bidirectional",
    "bi": "bidirectional",
    "backward": "reverse",
    "backwards": "reverse",
    "false": "none",
    "no": "none",
    "off": "none",
}
"""Values in other tools, and what they are called here."""


NEEDLESS: Mapping[str, str] = {
    "return_sequences": "layers hand on all their steps",
    "return_state": "what needs the last states takes them",
    "stateful": "'train.window' carries states",
    "batch_first": "rows are always first",
    "input_size": "widths are those of the data",
    "input_dim": "widths are those of the data",
    "input_shape": "widths are those of the data",
    "output_size": "widths are those of the data",
    "output_dim": "widths are those of the data",
    "num_classes": "labels are those of the training rows",
    "n_classes": "labels are those of the training rows",
}
"""Keys of other tools that stand for nothing here, and why."""


def meant_value(found: object, known: Collection[str]) -> str:
    """A question that names the one of `known` values that was meant, or ""; of a truth value the
    one that means no."""
    if not isinstance(found, str):
        return "did you mean 'none'?" if found is False and "none" in known else ""
    ours = VALUES.get(found.lower())
    return f"did you mean {ours!r}?" if ours in known else did_you_mean(found, known)


def said_otherwise(key: str, beside: Mapping[str, object]) -> str:
    """What to do about a key that another tool has there, by the keys that stand `beside` it and
    itself: how the same is said here, or that nothing need be said; "" of any other key."""
    value = beside.get(key)
    if key in ("heads", "num_heads") and "attend" in beside and type(value) is int:
        return f"write 'score: {{multi_head: {{heads: {value}}}}}'"
    if key == "embed" and beside.get("as") == "calendar" and type(value) is int:
        return f"write 'encode: {{embed: {value}}}'"
    if key == "padding" and "conv" in beside:
        return "remove it: past the ends 0 is read, with 'causal: true' before the first step"
    if key in ("rnnt", "rnn_transducer") and "layers" in beside:
        return "did you mean 'transducer'?"
    return ""
