"""The functions that the text of a program may call, in C, with those that they call in turn.

exp, tanh and sigmoid are made of sums, products and one quotient, without a branch or a comparison
of floats, so that a compiler computes several at once. They are within 4e-7 of the value's own size
(`tests/test_to_c_functions.py`).

- exp: 2^n e^r with n = round(v / ln 2), the polynomial of Cephes' expf (Moshier 1992).
- tanh: v P(v^2) / Q(v^2), the minimax quotient of Eigen's `ptanh_float`, of v within 9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnspec.to_c.structural import TEXTS as STRUCTURAL_TEXTS


@dataclass(frozen=True, slots=True)
class Function:
    """The text of a function, and the names of those that it calls."""

    text: str
    calls: tuple[str, ...] = ()


def _of_one(name: str, value: str, *calls: str) -> Function:
    return Function(
        f"static inline float {name}(float v)\n{{\n    return {value};\n}}", tuple(calls)
    )


def _of_two(name: str, value: str) -> Function:
    head = f"static inline float {name}(float v, float other)"
    return Function(f"{head}\n{{\n    return {value};\n}}")


_WORD = """\
/* A float and its bits. */
typedef union {
    float value;
    int32_t bits;
} rs_word;"""
_WITHIN = """\
/* v, but no further from 0 than `most`. */
static inline float rs_within(float v, float most)
{
    rs_word word = {v}, limit = {most};
    const int32_t size = word.bits & 0x7fffffff;
    const int32_t less = -(int32_t)(size < limit.bits);
    word.bits = (size & less) | (limit.bits & ~less) | (word.bits & ~0x7fffffff);
    return word.value;
}"""
_OR_NAN = """\
/* found, or NaN where v is. */
static inline float rs_or_nan(float found, float v)
{
    rs_word word = {v}, result = {found};
    result.bits |= -(int32_t)((word.bits & 0x7fffffff) > 0x7f800000);
    return result.value;
}"""
_EXP = """\
static inline float rs_exp(float v)
{
    const float within = rs_within(v, 89.0f);
    const int32_t n = (int32_t)(within * 1.44269504f + 256.5f) - 256;
    const float r = (within - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = (p * r * r + r) + 1.0f;
    rs_word half, other; /* 2^n in two factors: each is a normal number */
    half.bits = (n / 2 + 127) * 8388608;
    other.bits = (n - n / 2 + 127) * 8388608;
    return rs_or_nan(p * half.value * other.value, v);
}"""
_TANH = """\
static inline float rs_tanh(float v)
{
    const float within = rs_within(v, 9.0f);
    const float square = within * within;
    float p = -2.76076847742355e-16f;
    p = p * square + 2.00018790482477e-13f;
    p = p * square + -8.60467152213735e-11f;
    p = p * square + 5.12229709037114e-08f;
    p = p * square + 1.48572235717979e-05f;
    p = p * square + 6.37261928875436e-04f;
    p = p * square + 4.89352455891786e-03f;
    float q = 1.19825839466702e-06f;
    q = q * square + 1.18534705686654e-04f;
    q = q * square + 2.26843463243900e-03f;
    q = q * square + 4.89352518554385e-03f;
    return rs_or_nan(within * p / q, v);
}"""
_RELU = """\
static inline float rs_relu(float v)
{
    rs_word word = {v};
    word.bits &= ~(word.bits >> 31);
    return word.value;
}"""
_SOFTMAX = """\
/* exp(v) / sum(exp(v)) over all of v; out may be v. */
static void rs_softmax(float *out, const float *v, int count)
{
    float most = v[0], sum = 0.0f;
    for (int j = 1; j < count; j++)
        most = v[j] > most ? v[j] : most;
    for (int j = 0; j < count; j++) {
        out[j] = rs_exp(v[j] - most);
        sum += out[j];
    }
    for (int j = 0; j < count; j++)
        out[j] /= sum;
}"""
_LAYER_NORM = """\
/* (v - mean) / sqrt(variance + 1e-5) over all of v; out may be v. */
static void rs_layer_norm(float *out, const float *v, int count)
{
    float mean = 0.0f, variance = 0.0f;
    for (int j = 0; j < count; j++)
        mean += v[j];
    mean /= (float)count;
    for (int j = 0; j < count; j++)
        variance += (v[j] - mean) * (v[j] - mean);
    const float scale = 1.0f / sqrtf(variance / (float)count + 1e-5f);
    for (int j = 0; j < count; j++)
        out[j] = (v[j] - mean) * scale;
}"""
_MISSING = """\
/* Whether v is NaN, also where a compiler takes for granted that nothing is. */
static inline int rs_missing(float v)
{
    union {
        float value;
        uint32_t bits;
    } of = {v};
    return (of.bits & 0x7fffffffu) > 0x7f800000u;
}"""
_MISSING_DOUBLE = """\
/* Whether v is NaN, also where a compiler takes for granted that nothing is. */
static inline int rs_missing_double(double v)
{
    union {
        double value;
        uint64_t bits;
    } of = {v};
    return (of.bits & 0x7fffffffffffffffu) > 0x7ff0000000000000u;
}"""
_LARGEST = """\
/* The place of the largest of v, of equal ones the first. */
static int32_t rs_largest(const float *v, int count)
{
    int32_t found = 0;
    for (int j = 1; j < count; j++)
        found = v[j] > v[found] ? j : found;
    return found;
}"""


def _add_block(width: int, kind: str) -> str:
    """The part of a product that makes `width` sums at once: a compiler keeps them in registers."""
    return f"""\
static void rs_add_{width}{_ending(kind)}(float *restrict y, const {kind} *restrict w,
    const float *restrict x, int inputs{_scale_parameter(kind)})
{{
    float sum[{width}];
    for (int j = 0; j < {width}; j++)
        sum[j] = {"0.0f" if _scaled(kind) else "y[j]"};
    for (int i = 0; i < inputs; i++, w += {width})
        for (int j = 0; j < {width}; j++)
            sum[j] += x[i] * {"(float)" if _scaled(kind) else ""}w[j];
    for (int j = 0; j < {width}; j++)
        y[j] {"+= scale[j] *" if _scaled(kind) else "="} sum[j];
}}"""


def _add_product(kind: str) -> str:
    ending, scale = _ending(kind), ", scale + j" if _scaled(kind) else ""
    factor = "scale[k] * x[i] * (float)" if _scaled(kind) else "x[i] * "
    return f"""\
/* Adds W x to y. The rows of W stand in blocks of {BLOCKS[0]}, then of {BLOCKS[1]}, then the rest;
 * in each block they stand side by side, column after column. */
static void rs_add_product{ending}(float *restrict y, const {kind} *restrict w,
    const float *restrict x, int inputs, int outputs{_scale_parameter(kind)})
{{
    int j = 0;
    for (; outputs - j >= {BLOCKS[0]}; j += {BLOCKS[0]}, w += {BLOCKS[0]} * inputs)
        rs_add_{BLOCKS[0]}{ending}(y + j, w, x, inputs{scale});
    for (; outputs - j >= {BLOCKS[1]}; j += {BLOCKS[1]}, w += {BLOCKS[1]} * inputs)
        rs_add_{BLOCKS[1]}{ending}(y + j, w, x, inputs{scale});
    for (int i = 0; i < inputs; i++, w += outputs - j)
        for (int k = j; k < outputs; k++)
            y[k] += {factor}w[k - j];
}}"""


def _scaled(kind: str) -> bool:
    return kind != "float"


def _ending(kind: str) -> str:
    return "_int8" if _scaled(kind) else ""


def _scale_parameter(kind: str) -> str:
    return ", const float *restrict scale" if _scaled(kind) else ""


BLOCKS = (64, 32)
"""Rows of a matrix whose sums are made at once; the others stand in a block of what is left."""

FUNCTIONS: Mapping[str, Function] = {
    "rs_word": Function(_WORD),
    "rs_within": Function(_WITHIN, ("rs_word",)),
    "rs_or_nan": Function(_OR_NAN, ("rs_word",)),
    "rs_exp": Function(_EXP, ("rs_within", "rs_or_nan")),
    "rs_tanh": Function(_TANH, ("rs_within", "rs_or_nan")),
    "rs_sigmoid": _of_one("rs_sigmoid", "1.0f / (1.0f + rs_exp(-v))", "rs_exp"),
    "rs_relu": Function(_RELU, ("rs_word",)),
    "rs_softplus": _of_one(
        "rs_softplus", "rs_relu(v) + log1pf(rs_exp(-fabsf(v)))", "rs_relu", "rs_exp"
    ),
    "rs_softsign": _of_one("rs_softsign", "v / (1.0f + fabsf(v))"),
    "rs_elu": _of_one("rs_elu", "v > 0.0f ? v : expm1f(v)"),
    "rs_silu": _of_one("rs_silu", "v * rs_sigmoid(v)", "rs_sigmoid"),
    "rs_gelu": _of_one("rs_gelu", "0.5f * v * (1.0f + erff(v * 0.707106781f))"),
    "rs_hard_sigmoid": _of_one(
        "rs_hard_sigmoid",
        "rs_or_nan(rs_within(v, 3.0f) / 6.0f + 0.5f, v)",
        "rs_within",
        "rs_or_nan",
    ),
    "rs_max": _of_two("rs_max", "v > other ? v : other"),
    "rs_min": _of_two("rs_min", "v < other ? v : other"),
    "rs_softmax": Function(_SOFTMAX, ("rs_exp",)),
    "rs_layer_norm": Function(_LAYER_NORM),
    **{name: Function(text) for name, text in STRUCTURAL_TEXTS.items()},
    "rs_missing": Function(_MISSING),
    "rs_missing_double": Function(_MISSING_DOUBLE),
    "rs_largest": Function(_LARGEST),
    **{
        f"rs_add_{width}{_ending(kind)}": Function(_add_block(width, kind))
        for kind in ("float", "int8_t")
        for width in BLOCKS
    },
    **{
        f"rs_add_product{_ending(kind)}": Function(
            _add_product(kind), tuple(f"rs_add_{width}{_ending(kind)}" for width in BLOCKS)
        )
        for kind in ("float", "int8_t")
    },
}
"""Every function that is written into a program where it is called, by its name in C."""

OF_VECTORS = {"softmax": "rs_softmax", "layer_norm": "rs_layer_norm"}
"""Functions of whole vectors: `name(out, v, count)`."""


def called_in(text: Iterable[str]) -> list[str]:
    """The texts of all functions that stand in a text, each after those that it calls."""
    found: dict[str, None] = {}
    whole = "\n".join(text)
    for name in FUNCTIONS:
        if f"{name}(" in whole:
            _with_callees(name, found)
    return [FUNCTIONS[name].text for name in found]


def _with_callees(name: str, found: dict[str, None]) -> None:
    for each in FUNCTIONS[name].calls:
        _with_callees(each, found)
    found[name] = None
