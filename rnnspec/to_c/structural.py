"""Operations whose value has another shape than what they read (`rnnspec.cells.layout`), in C.

Each function takes its result, its arguments and the numbers of the layout: values of `n` heads
stand one behind the other, a matrix is the rows one behind the other.
"""

from __future__ import annotations

OUTER = """\
/* out[i][j] = v[i] * w[j], of n heads. */
static void rs_outer(float *out, const float *v, const float *w, int n, int rows, int columns)
{
    for (int i = 0; i < n * rows; i++)
        for (int j = 0; j < columns; j++)
            out[i * columns + j] = v[i] * w[i / rows * columns + j];
}"""
APPLY = """\
/* out = m v, of n heads. */
static void rs_apply(float *out, const float *m, const float *v, int n, int rows, int columns)
{
    for (int i = 0; i < n * rows; i++) {
        float sum = 0.0f;
        for (int j = 0; j < columns; j++)
            sum += m[i * columns + j] * v[i / rows * columns + j];
        out[i] = sum;
    }
}"""
COMPOSE = """\
/* out = m w, of n heads. */
static void rs_compose(float *out, const float *m, const float *w, int n, int rows, int inner,
                       int columns)
{
    for (int i = 0; i < n * rows; i++)
        for (int j = 0; j < columns; j++) {
            float sum = 0.0f;
            for (int k = 0; k < inner; k++)
                sum += m[i * inner + k] * w[(i / rows * inner + k) * columns + j];
            out[i * columns + j] = sum;
        }
}"""
TRANSPOSE = """\
/* out[j][i] = m[i][j], of n heads. */
static void rs_transpose(float *out, const float *m, int n, int rows, int columns)
{
    for (int head = 0; head < n * rows * columns; head += rows * columns)
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                out[head + j * rows + i] = m[head + i * columns + j];
}"""
SUM = """\
/* The sum of v, of n heads. */
static void rs_sum(float *out, const float *v, int n, int width)
{
    for (int i = 0; i < n; i++) {
        float sum = 0.0f;
        for (int j = 0; j < width; j++)
            sum += v[i * width + j];
        out[i] = sum;
    }
}"""
COLUMNS = """\
/* Each of n numbers so many times. */
static void rs_columns(float *out, const float *v, int n, int often)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < often; j++)
            out[i * often + j] = v[i];
}"""
ROWS = """\
/* v so many times, of n heads. */
static void rs_rows(float *out, const float *v, int n, int often, int width)
{
    for (int i = 0; i < n * often; i++)
        for (int j = 0; j < width; j++)
            out[i * width + j] = v[i / often * width + j];
}"""
CONCAT = """\
/* v and w one behind the other, of n heads. */
static void rs_concat(float *out, const float *v, const float *w, int n, int first, int second)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < first; j++)
            out[i * (first + second) + j] = v[i * first + j];
        for (int j = 0; j < second; j++)
            out[i * (first + second) + first + j] = w[i * second + j];
    }
}"""
SLICE = """\
/* v[start:stop], of n heads. */
static void rs_slice(float *out, const float *v, int n, int width, int start, int stop)
{
    for (int i = 0; i < n; i++)
        for (int j = start; j < stop; j++)
            out[i * (stop - start) + j - start] = v[i * width + j];
}"""
EVERY = """\
/* v[start::stride], of n heads. */
static void rs_every(float *out, const float *v, int n, int width, int stride, int start)
{
    for (int i = 0; i < n * width; i++)
        out[i] = v[i * stride + start];
}"""

TEXTS = {
    "rs_outer": OUTER,
    "rs_apply": APPLY,
    "rs_compose": COMPOSE,
    "rs_transpose": TRANSPOSE,
    "rs_sum": SUM,
    "rs_columns": COLUMNS,
    "rs_rows": ROWS,
    "rs_concat": CONCAT,
    "rs_slice": SLICE,
    "rs_every": EVERY,
}
"""The text of each function."""

STRUCTURAL = {
    "outer": "rs_outer",
    "apply": "rs_apply",
    "compose": "rs_compose",
    "transpose": "rs_transpose",
    "sum": "rs_sum",
    "columns": "rs_columns",
    "rows": "rs_rows",
    "tile": "rs_rows",
    "concat": "rs_concat",
    "slice": "rs_slice",
    "every": "rs_every",
}
"""The function of each operation: `name(out, arguments, layout)`."""
