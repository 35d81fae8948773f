/* Run an exported model through TensorFlow's C API: no Python, no tfvae.
 *
 *   make -C export/clients        (headers and libraries are those of the installed Python package; PYTHON=... chooses)
 *   export/clients/build/c_client export/models/my_decoder/1 [N [SEED [TEMPERATURE [CONDITION]]]]
 *
 * It loads and runs whatever the folder holds: look at a model that is not yours with `tfvae inspect` first.
 * Calls `decode` with N made-up codes and `sample`, and prints of each the shape, the least, mean and greatest pixel, and
 * the FNV-1a hash of its bytes. CONDITION (label, beta or kappa of all images) is for models with a condition.
 */
#include <float.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tensorflow/c/c_api.h>

#define MAX_INPUTS 4

static void fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static void check(TF_Status *status, const char *what) {
  if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

static void *allocate(size_t size) {
  void *found = calloc(size ? size : 1, 1);
  if (!found) fail("memory", "none left");
  return found;
}

/* --- The names of a signature's tensors stand in the MetaGraphDef, a protocol buffer. ------------------------- */

typedef struct {
  const uint8_t *at, *end;
} Bytes;

static uint64_t varint(Bytes *b) {
  uint64_t value = 0;
  for (int shift = 0; b->at < b->end && shift < 64; shift += 7) {
    uint8_t byte = *b->at++;
    value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return value;
  }
  fail("model", "its MetaGraphDef does not parse");
  return 0;
}

/* The next length-delimited field of this number, or 0 when there is no further one. */
static int next(Bytes *b, uint64_t field, Bytes *found) {
  while (b->at < b->end) {
    uint64_t tag = varint(b), size = 0;
    switch (tag & 7) {
      case 0: varint(b); continue;
      case 1: size = 8; break;
      case 5: size = 4; break;
      case 2: size = varint(b); break;
      default: fail("model", "its MetaGraphDef does not parse");
    }
    if (size > (uint64_t)(b->end - b->at)) fail("model", "its MetaGraphDef does not parse");
    found->at = b->at, found->end = b->at + size;
    b->at += size;
    if ((tag & 7) == 2 && tag >> 3 == field) return 1;
  }
  return 0;
}

/* The value of a key in a map<string, message>, which is field `field` of `b`. */
static int lookup(Bytes b, uint64_t field, const char *key, Bytes *value) {
  Bytes entry;
  while (next(&b, field, &entry)) {
    Bytes rest = entry, name;
    if (next(&rest, 1, &name) && (size_t)(name.end - name.at) == strlen(key) && !memcmp(name.at, key, strlen(key)))
      return next(&entry, 2, value);
  }
  return 0;
}

enum { INPUTS = 1, OUTPUTS = 2, SIGNATURES = 5 }; /* fields of SignatureDef, and of MetaGraphDef */

/* The tensor behind an input or output of a signature; its operation is NULL when the signature has none such. */
static TF_Output tensor(TF_Graph *graph, const TF_Buffer *meta, const char *signature, int side, const char *key) {
  Bytes all = {meta->data, (const uint8_t *)meta->data + meta->length}, def, info, name;
  TF_Output found = {NULL, 0};
  if (!lookup(all, SIGNATURES, signature, &def)) fail(signature, "no such signature");
  if (!lookup(def, (uint64_t)side, key, &info) || !next(&info, 1, &name)) return found;
  char text[512];
  size_t size = (size_t)(name.end - name.at);
  if (size >= sizeof text) fail(key, "its name is too long");
  memcpy(text, name.at, size);
  text[size] = 0;
  char *colon = strrchr(text, ':');
  if (colon) *colon = 0, found.index = atoi(colon + 1);
  found.oper = TF_GraphOperationByName(graph, text);
  if (!found.oper) fail(text, "no such operation");
  return found;
}

/* --- Tensors. ------------------------------------------------------------------------------------------------- */

static TF_Tensor *filled(TF_DataType type, const int64_t *sides, int rank, const void *data, size_t size) {
  TF_Tensor *found = TF_AllocateTensor(type, sides, rank, size);
  if (!found || TF_TensorByteSize(found) != size) fail("memory", "none left");
  memcpy(TF_TensorData(found), data, size);
  return found;
}

/* `count` times the same condition, in the type that the model wants. */
static TF_Tensor *condition(TF_Output input, int64_t count, const char *text) {
  if (!text) fail("condition", "this model needs one, as the last argument");
  TF_DataType type = TF_OperationOutputType(input);
  if (type != TF_INT32 && type != TF_FLOAT) fail("condition", "neither a label nor a number");
  TF_Tensor *found = TF_AllocateTensor(type, &count, 1, (size_t)count * 4);
  for (int64_t i = 0; i < count; ++i) {
    if (type == TF_INT32) ((int32_t *)TF_TensorData(found))[i] = (int32_t)atoi(text);
    else ((float *)TF_TensorData(found))[i] = strtof(text, NULL);
  }
  return found;
}

static void report(const char *name, const TF_Tensor *image) {
  const float *pixel = TF_TensorData(image);
  const uint8_t *byte = TF_TensorData(image);
  size_t size = TF_TensorByteSize(image), count = size / sizeof(float);
  float least = FLT_MAX, most = -FLT_MAX;
  double sum = 0;
  uint64_t hash = 14695981039346656037ULL;
  for (size_t i = 0; i < count; ++i) {
    if (pixel[i] < least) least = pixel[i];
    if (pixel[i] > most) most = pixel[i];
    sum += pixel[i];
  }
  for (size_t i = 0; i < size; ++i) hash = (hash ^ byte[i]) * 1099511628211ULL;
  printf("%s", name);
  for (int i = 0; i < TF_NumDims(image); ++i) printf(" %lld", (long long)TF_Dim(image, i));
  printf(" min %.9g mean %.9g max %.9g fnv1a %016llx\n", least, sum / (double)count, most, (unsigned long long)hash);
}

/* Call a signature, print its image, free its inputs. */
static void run(TF_Session *session, TF_Output image, const char *name, int count, const TF_Output *inputs,
                TF_Tensor **values) {
  TF_Status *status = TF_NewStatus();
  TF_Tensor *found = NULL;
  TF_SessionRun(session, NULL, inputs, values, count, &image, &found, 1, NULL, 0, NULL, status);
  check(status, name);
  if (TF_TensorType(found) != TF_FLOAT) fail(name, "its image is not float32");
  report(name, found);
  TF_DeleteTensor(found);
  for (int i = 0; i < count; ++i) TF_DeleteTensor(values[i]);
  TF_DeleteStatus(status);
}

static void decode(TF_Session *session, TF_Graph *graph, const TF_Buffer *meta, int64_t n, const char *condition_text) {
  TF_Status *status = TF_NewStatus();
  TF_Output inputs[MAX_INPUTS] = {tensor(graph, meta, "decode", INPUTS, "z")};
  TF_Tensor *values[MAX_INPUTS];
  int64_t sides[2];
  int count = 1;
  if (!inputs[0].oper) fail("decode", "no input z");
  TF_GraphGetTensorShape(graph, inputs[0], sides, 2, status);
  check(status, "shape of z");
  sides[0] = n;
  size_t numbers = (size_t)(n * sides[1]);
  float *z = allocate(numbers * sizeof *z);
  for (size_t i = 0; i < numbers; ++i) z[i] = (float)(i * 37 % 101) / 50.0f - 1.0f; /* in [-1, 1] */
  values[0] = filled(TF_FLOAT, sides, 2, z, numbers * sizeof *z);
  free(z);
  inputs[1] = tensor(graph, meta, "decode", INPUTS, "condition");
  if (inputs[1].oper) values[count++] = condition(inputs[1], n, condition_text);
  run(session, tensor(graph, meta, "decode", OUTPUTS, "image"), "decode", count, inputs, values);
  TF_DeleteStatus(status);
}

static void sample(TF_Session *session, TF_Graph *graph, const TF_Buffer *meta, int32_t n, int32_t seed,
                   float temperature, const char *condition_text) {
  const char *names[MAX_INPUTS] = {"n", "seed", "temperature", "condition"};
  const int64_t two = 2;
  const int32_t seeds[2] = {seed, 0};
  TF_Output inputs[MAX_INPUTS];
  int count = 3;
  for (int i = 0; i < MAX_INPUTS; ++i) inputs[i] = tensor(graph, meta, "sample", INPUTS, names[i]);
  for (int i = 0; i < count; ++i)
    if (!inputs[i].oper) fail("sample: no input", names[i]);
  TF_Tensor *values[MAX_INPUTS] = {filled(TF_INT32, NULL, 0, &n, sizeof n),
                                   filled(TF_INT32, &two, 1, seeds, sizeof seeds),
                                   filled(TF_FLOAT, NULL, 0, &temperature, sizeof temperature)};
  if (inputs[3].oper) values[count++] = condition(inputs[3], 1, condition_text); /* one alone is that of all images */
  run(session, tensor(graph, meta, "sample", OUTPUTS, "image"), "sample", count, inputs, values);
}

int main(int argc, char **argv) {
  if (argc < 2 || argc > 6) fail("usage", "c_client MODEL/VERSION [N [SEED [TEMPERATURE [CONDITION]]]]");
  int32_t n = argc > 2 ? atoi(argv[2]) : 4, seed = argc > 3 ? atoi(argv[3]) : 0;
  float temperature = argc > 4 ? strtof(argv[4], NULL) : 1.0f;
  const char *condition_text = argc > 5 ? argv[5] : NULL, *tags[] = {"serve"};
  if (n < 1 || n > 4096) fail("N", "expected 1 to 4096");

  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer *meta = TF_NewBuffer();
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, meta, status);
  check(status, argv[1]);
  decode(session, graph, meta, n, condition_text);
  sample(session, graph, meta, n, seed, temperature, condition_text);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteBuffer(meta);
  TF_DeleteGraph(graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return 0;
}
