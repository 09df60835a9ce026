/* A guarded model in ONNX Runtime's C API: one JSON line for each frame, with the highest place of its map where the
 * model has one.
 *
 *   cc -std=c11 run.c -I include -L lib -lonnxruntime -o run
 *   ./run guarded.onnx frames.f32 [threshold]
 *
 * frames.f32: raw little-endian float32, frame after frame, in the shape of the model's input.
 * threshold: in place of the one in the model; of every class, if it has one for each. */
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <onnxruntime_c_api.h>

enum { MAX_RANK = 8 };

/* A tensor in memory of our own: what is written there goes in, what comes out is read there. */
typedef struct {
    int64_t shape[MAX_RANK];
    size_t rank, count;
    void *data;
    OrtValue *value;
} Tensor;

static const OrtApi *ort;

static _Noreturn void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("run: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

static void check(OrtStatus *status) {
    if (status) fail("%s", ort->GetErrorMessage(status));
}

static void allocate(Tensor *tensor, ONNXTensorElementDataType type, size_t size) {
    OrtMemoryInfo *cpu;
    tensor->count = 1;
    for (size_t i = 0; i < tensor->rank; i++) tensor->count *= (size_t)tensor->shape[i];
    tensor->data = calloc(tensor->count, size);
    if (!tensor->data) fail("expected memory for %zu values, got none", tensor->count);
    check(ort->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &cpu));
    check(ort->CreateTensorWithDataAsOrtValue(cpu, tensor->data, tensor->count * size, tensor->shape, tensor->rank,
                                              type, &tensor->value));
    ort->ReleaseMemoryInfo(cpu);
}

/* A float32 tensor of the shape that the model gives an input, with a batch of 1 where it leaves that open. */
static Tensor input_tensor(OrtTypeInfo *info) {
    Tensor tensor = {.rank = 0};
    const OrtTensorTypeAndShapeInfo *described;
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    check(ort->CastTypeInfoToTensorInfo(info, &described));
    if (described) check(ort->GetTensorElementType(described, &type));
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) fail("expected an input of float32, got type %d", type);
    check(ort->GetDimensionsCount(described, &tensor.rank));
    if (tensor.rank < 1 || tensor.rank > MAX_RANK) fail("expected 1 to %d axes, got %zu", MAX_RANK, tensor.rank);
    check(ort->GetDimensions(described, tensor.shape, tensor.rank));
    ort->ReleaseTypeInfo(info);
    if (tensor.shape[0] < 0) tensor.shape[0] = 1;
    for (size_t i = 1; i < tensor.rank; i++) {
        if (tensor.shape[i] < 0) fail("expected frames of a fixed shape, got an open size at axis %zu", i);
    }
    allocate(&tensor, type, sizeof(float));
    return tensor;
}

static Tensor output_tensor(int64_t batch, ONNXTensorElementDataType type, size_t size) {
    Tensor tensor = {.shape = {batch}, .rank = 1};
    allocate(&tensor, type, size);
    return tensor;
}

/* The map (batch, height, width) of a monitor of places; without data where the model has none. */
static Tensor map_tensor(OrtSession *session, OrtAllocator *allocator, int64_t batch) {
    Tensor map = {.value = NULL};
    size_t count;
    check(ort->SessionGetOutputCount(session, &count));
    for (size_t i = 0; i < count; i++) {
        char *name;
        check(ort->SessionGetOutputName(session, i, allocator, &name));
        bool found = !strcmp(name, "outrider_map");
        check(ort->AllocatorFree(allocator, name));
        if (!found) continue;
        OrtTypeInfo *info;
        const OrtTensorTypeAndShapeInfo *described;
        check(ort->SessionGetOutputTypeInfo(session, i, &info));
        check(ort->CastTypeInfoToTensorInfo(info, &described));
        map.rank = 3;
        check(ort->GetDimensions(described, map.shape, map.rank));
        ort->ReleaseTypeInfo(info);
        map.shape[0] = batch;
        allocate(&map, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, sizeof(float));
    }
    return map;
}

static void print_number(float value, const char *end) {
    if (isfinite(value)) printf("%.9g%s", value, end);
    else printf("null%s", end);
}

/* Where the map of a frame is highest, in places, and how high. */
static void print_peak(const Tensor *map, int64_t frame) {
    int64_t width = map->shape[2], places = map->shape[1] * width, best = 0;
    const float *values = (const float *)map->data + frame * places;
    for (int64_t k = 1; k < places; k++) {
        if (values[k] > values[best]) best = k;
    }
    printf(", \"peak\": {\"x\": %d, \"y\": %d, \"value\": ", (int)(best % width), (int)(best / width));
    print_number(values[best], "}");
}

/* outrider_threshold is an input with a default: among the overridable initializers, not among the inputs. */
static Tensor threshold_tensor(OrtSession *session, OrtAllocator *allocator, const char *text) {
    char *end;
    float threshold = strtof(text, &end);
    bool valid = end != text && !*end && threshold >= 0 && isfinite(threshold);
    if (!valid) fail("expected a THRESHOLD >= 0, got %s", text);
    size_t count;
    check(ort->SessionGetOverridableInitializerCount(session, &count));
    for (size_t i = 0; i < count; i++) {
        char *name;
        check(ort->SessionGetOverridableInitializerName(session, i, allocator, &name));
        bool found = !strcmp(name, "outrider_threshold");
        check(ort->AllocatorFree(allocator, name));
        if (!found) continue;
        OrtTypeInfo *info;
        check(ort->SessionGetOverridableInitializerTypeInfo(session, i, &info));
        Tensor tensor = input_tensor(info);
        for (size_t k = 0; k < tensor.count; k++) ((float *)tensor.data)[k] = threshold;
        return tensor;
    }
    fail("expected a guarded model, got one without the overridable initializer outrider_threshold");
}

static void release(Tensor *tensor) {
    if (!tensor->value) return;
    ort->ReleaseValue(tensor->value);
    free(tensor->data);
}

int main(int argc, char **argv) {
    if (argc != 3 && argc != 4) fail("usage: run MODEL FRAMES [THRESHOLD]");
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!ort) fail("expected ONNX Runtime 1.%d or newer, got %s", ORT_API_VERSION, OrtGetApiBase()->GetVersionString());

    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *allocator;
    char *name;
    OrtTypeInfo *info;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run", &env));
    check(ort->CreateSessionOptions(&options));
    check(ort->CreateSession(env, argv[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->SessionGetInputName(session, 0, allocator, &name));
    check(ort->SessionGetInputTypeInfo(session, 0, &info));

    Tensor frames = input_tensor(info);
    Tensor alarm = output_tensor(frames.shape[0], ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, sizeof(bool));
    Tensor score = output_tensor(frames.shape[0], ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, sizeof(float));
    Tensor map = map_tensor(session, allocator, frames.shape[0]);
    Tensor threshold = {.value = NULL};
    if (argc == 4) threshold = threshold_tensor(session, allocator, argv[3]);

    const char *input_names[] = {name, "outrider_threshold"};
    const char *output_names[] = {"outrider_alarm", "outrider_score", "outrider_map"};
    const OrtValue *inputs[] = {frames.value, threshold.value};
    OrtValue *outputs[] = {alarm.value, score.value, map.value};
    size_t wanted = map.value ? 3 : 2;

    FILE *file = fopen(argv[2], "rb");
    if (!file) fail("%s: cannot be opened", argv[2]);
    size_t got;
    for (size_t frame = 0; (got = fread(frames.data, sizeof(float), frames.count, file)) == frames.count;) {
        check(ort->Run(session, NULL, input_names, inputs, argc - 2, output_names, wanted, outputs));
        for (int64_t i = 0; i < frames.shape[0]; i++, frame++) {
            printf("{\"frame\": %zu, \"alarm\": %s, \"score\": ", frame, ((bool *)alarm.data)[i] ? "true" : "false");
            print_number(((float *)score.data)[i], "");
            if (map.value) print_peak(&map, i);
            printf("}\n");
        }
    }
    if (got) fail("%s: expected a multiple of %zu floats, got %zu more", argv[2], frames.count, got);
    fclose(file);

    release(&frames);
    release(&alarm);
    release(&score);
    release(&map);
    release(&threshold);
    check(ort->AllocatorFree(allocator, name));
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(env);
    return 0;
}
