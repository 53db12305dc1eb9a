/* A row in chunks, answered by a file of `rnnspec export --onnx --stream` with onnxruntime's C API:
 *
 *     cc stream.c -I INCLUDE libonnxruntime.so -o stream
 *     ./stream FILE.onnx STEPS < ROW
 *
 * Every state is an input NAME of a fixed size and an output NAME.next, 0 where a row begins. The one
 * other input is a text, of which each line of ROW is a chunk, or numbers, which ROW holds with white space
 * between, STEPS steps a chunk. For each chunk every output is printed as NAME: values.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

enum { MOST = 256, RANK = 8, LINE = 1 << 16 };

typedef struct {
  char *name;
  ONNXTensorElementDataType type;
  int64_t shape[RANK]; /* -1 where it changes from chunk to chunk */
  size_t rank;
  OrtValue *value;
  int is_state;
} Tensor;

static const OrtApi *api;
static OrtAllocator *allocator;

static void check(OrtStatus *status) {
  if (!status) return;
  fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  exit(1);
}

/* The names, types and shapes of the inputs or outputs. */
static size_t describe(OrtSession *session, int outputs, Tensor *found) {
  size_t count;
  check(outputs ? api->SessionGetOutputCount(session, &count)
                : api->SessionGetInputCount(session, &count));
  if (count > MOST) exit(1);
  for (size_t i = 0; i < count; i++) {
    OrtTypeInfo *info;
    const OrtTensorTypeAndShapeInfo *of;
    check(outputs ? api->SessionGetOutputName(session, i, allocator, &found[i].name)
                  : api->SessionGetInputName(session, i, allocator, &found[i].name));
    check(outputs ? api->SessionGetOutputTypeInfo(session, i, &info)
                  : api->SessionGetInputTypeInfo(session, i, &info));
    check(api->CastTypeInfoToTensorInfo(info, &of));
    check(api->GetTensorElementType(of, &found[i].type));
    check(api->GetDimensionsCount(of, &found[i].rank));
    if (found[i].rank > RANK) exit(1);
    check(api->GetDimensions(of, found[i].shape, found[i].rank));
    api->ReleaseTypeInfo(info);
    found[i].value = NULL;
    found[i].is_state = 0;
  }
  return count;
}

static int ends(const char *name, const char *ending) {
  size_t all = strlen(name), tail = strlen(ending);
  return all >= tail && !strcmp(name + all - tail, ending);
}

/* The output NAME.next of a state NAME; NULL of another input. */
static Tensor *after(const Tensor *input, Tensor *outputs, size_t count) {
  size_t length = strlen(input->name);
  if (input->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) return NULL;
  for (size_t i = 1; i < input->rank; i++)
    if (input->shape[i] < 0) return NULL;
  for (size_t i = 0; i < count; i++)
    if (!strncmp(outputs[i].name, input->name, length) && !strcmp(outputs[i].name + length, ".next"))
      return &outputs[i];
  return NULL;
}

/* A tensor of one row, zero, with `steps` where the shape changes; `data` are its elements. */
static void make(Tensor *tensor, int64_t steps, void **data) {
  int64_t shape[RANK];
  size_t bytes, length = 1, rank = tensor->rank;
  if (tensor->value) api->ReleaseValue(tensor->value);
  for (size_t i = 0; i < rank; i++) {
    shape[i] = i == 0 ? 1 : tensor->shape[i] < 0 ? steps : tensor->shape[i];
    length *= (size_t)shape[i];
  }
  check(api->CreateTensorAsOrtValue(allocator, shape, rank, tensor->type, &tensor->value));
  if (tensor->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) return;
  check(api->GetTensorMutableData(tensor->value, data));
  check(api->GetTensorSizeInBytes(tensor->value, &bytes));
  if (length) memset(*data, 0, bytes);
}

/* The steps that an output answers: those in its NAME.lengths, if it has one, else all. */
static size_t answered(const char *name, const Tensor *outputs, OrtValue **found, size_t count) {
  int64_t *steps;
  size_t length = strcspn(name, ".");
  for (size_t i = 0; i < count; i++) {
    const char *other = outputs[i].name;
    if (!strncmp(other, name, length) && !strcmp(other + length, ".lengths") && strcmp(other, name)) {
      check(api->GetTensorMutableData(found[i], (void **)&steps));
      return (size_t)*steps;
    }
  }
  return SIZE_MAX;
}

static void print(const char *name, OrtValue *value, size_t steps) {
  OrtTensorTypeAndShapeInfo *info;
  ONNXTensorElementDataType type;
  size_t count, rank;
  int64_t shape[RANK];
  void *data = NULL;
  check(api->GetTensorTypeAndShape(value, &info));
  check(api->GetTensorElementType(info, &type));
  check(api->GetTensorShapeElementCount(info, &count));
  check(api->GetDimensionsCount(info, &rank));
  check(api->GetDimensions(info, shape, rank));
  if (rank > 1 && (size_t)shape[1] > steps) count = count / (size_t)shape[1] * steps;
  printf("%s:", name);
  if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) check(api->GetTensorMutableData(value, &data));
  for (size_t i = 0; i < count; i++) {
    if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
      size_t length;
      check(api->GetStringTensorElementLength(value, i, &length));
      char *text = calloc(length + 1, 1);
      check(api->GetStringTensorElement(value, length, i, text));
      printf(" %s", text);
      free(text);
    } else if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT)
      printf(" %.9g", ((float *)data)[i]);
    else if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE)
      printf(" %.17g", ((double *)data)[i]);
    else if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64)
      printf(" %lld", (long long)((int64_t *)data)[i]);
  }
  printf("\n");
  api->ReleaseTensorTypeAndShapeInfo(info);
}

/* The next chunk of standard input; how many steps it has, 0 at the end. */
static int64_t read_chunk(Tensor *input, int64_t steps) {
  void *data = NULL;
  if (input->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
    static char line[LINE];
    if (!fgets(line, LINE, stdin)) return 0;
    line[strcspn(line, "\n")] = 0;
    const char *text = line;
    make(input, 1, NULL);
    check(api->FillStringTensor(input->value, &text, 1));
    return 1;
  }
  size_t width = input->rank == 3 ? (size_t)input->shape[2] : 1, read = 0;
  double *numbers = malloc((size_t)steps * width * sizeof *numbers);
  while (read < (size_t)steps * width && scanf("%lf", &numbers[read]) == 1) read++;
  int64_t found = (int64_t)(read / width);
  if (found) make(input, found, &data);
  for (size_t i = 0; i < (size_t)found * width; i++) {
    if (input->type == ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE)
      ((double *)data)[i] = numbers[i];
    else
      ((float *)data)[i] = (float)numbers[i];
  }
  free(numbers);
  return found;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (!api) return 1;
  OrtEnv *env;
  OrtSessionOptions *options;
  OrtSession *session;
  check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "stream", &env));
  check(api->CreateSessionOptions(&options));
  check(api->SetIntraOpNumThreads(options, 1));
  check(api->CreateSession(env, argv[1], options, &session));
  check(api->GetAllocatorWithDefaultOptions(&allocator));

  static Tensor inputs[MOST], outputs[MOST];
  size_t fed = describe(session, 0, inputs), given = describe(session, 1, outputs);
  const char *in[MOST], *out[MOST];
  Tensor *column = NULL, *lengths = NULL, *end = NULL;
  void *data;
  for (size_t i = 0; i < fed; i++) {
    in[i] = inputs[i].name;
    Tensor *next = after(&inputs[i], outputs, given);
    if (next) {
      make(&inputs[i], 0, &data);
      next->is_state = 1;
    } else if (inputs[i].type == ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64 &&
               (!strcmp(in[i], "write") || !strcmp(in[i], "seed"))) {
      make(&inputs[i], 0, &data); /* of a model that writes on: one token after each chunk */
      *(int64_t *)data = !strcmp(in[i], "write");
    } else if (ends(inputs[i].name, ".lengths"))
      lengths = &inputs[i];
    else if (inputs[i].type == ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL)
      end = &inputs[i];
    else
      column = &inputs[i];
  }
  for (size_t i = 0; i < given; i++) out[i] = outputs[i].name;
  if (!column) return 1;

  int64_t steps;
  do {
    const OrtValue *values[MOST];
    OrtValue *found[MOST] = {NULL};
    steps = read_chunk(column, atoll(argv[2]));
    if (!steps && !end) break;
    if (!steps) make(column, 0, &data); /* no more steps: what waits is answered */
    if (lengths) {
      make(lengths, 0, &data);
      *(int64_t *)data = steps;
    }
    if (end) {
      make(end, 0, &data);
      *(char *)data = !steps;
    }
    for (size_t i = 0; i < fed; i++) values[i] = inputs[i].value;
    check(api->Run(session, NULL, in, values, fed, out, given, found));
    for (size_t i = 0; i < given; i++)
      if (!outputs[i].is_state)
        print(out[i], found[i], answered(out[i], outputs, found, given));
    for (size_t i = 0; i < fed; i++) {
      Tensor *next = after(&inputs[i], outputs, given);
      if (!next) continue;
      api->ReleaseValue(inputs[i].value);
      inputs[i].value = found[next - outputs];
      found[next - outputs] = NULL;
    }
    for (size_t i = 0; i < given; i++)
      if (found[i]) api->ReleaseValue(found[i]);
    fflush(stdout);
  } while (steps);
  return 0;
}
