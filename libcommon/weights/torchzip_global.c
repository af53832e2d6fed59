/* What a pickle may name.  Nothing is called: `make` says what the call would have made. */
#include <inttypes.h>
#include <string.h>

#include "libcommon/weights/safetensors_file.h"
#include "libcommon/weights/torchzip_file.h"

/* Arguments into part[], which the call must have `least` to `most` of; how many, or -1. */
static int unpack(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args, int least, int most,
                  const struct torchzip_value **part)
{
    int n = 0;

    if (args->list.n < least || args->list.n > most)
        return torchzip_pickle_wrong(v, "%s.%s with %" PRId64 " arguments", g->module, g->name, args->list.n);
    for (const struct torchzip_entry *e = args->list.first; e; e = e->next)
        part[n++] = e->value;
    return n;
}

static struct torchzip_value *make_dict(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    const struct torchzip_value *part[1];
    int n = unpack(v, g, args, 0, 1, part);

    if (n < 0)
        return NULL;
    if (n && part[0]->type != TORCHZIP_GLOBAL) { /* what a defaultdict makes */
        torchzip_pickle_wrong(v, "%s.%s with contents", g->module, g->name);
        return NULL;
    }
    return torchzip_pickle_new(v, TORCHZIP_DICT);
}

static struct torchzip_value *make_namespace(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    return unpack(v, g, args, 0, 0, NULL) < 0 ? NULL : torchzip_pickle_new(v, TORCHZIP_NAMESPACE);
}

static struct torchzip_value *make_object(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    struct torchzip_value *x = torchzip_pickle_new(v, TORCHZIP_OBJECT);

    (void)args;
    x->global = g;
    return x;
}

static struct torchzip_value *make_size(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    const struct torchzip_value *part[1];
    struct torchzip_value *x;

    if (unpack(v, g, args, 1, 1, part) < 0)
        return NULL;
    if (part[0]->type != TORCHZIP_TUPLE) {
        torchzip_pickle_wrong(v, "torch.Size without a tuple");
        return NULL;
    }
    x = torchzip_pickle_new(v, TORCHZIP_TUPLE);
    *x = *part[0];
    return x;
}

/* A tuple of integers >= 0; how many, or -1. */
static int ints(struct torchzip_pickle *v, const struct torchzip_value *x, int64_t *out)
{
    int n = 0;

    if (x->type != TORCHZIP_TUPLE || x->list.n > SAFETENSORS_RANK)
        return torchzip_pickle_wrong(v, "a shape is not a tuple of %d at most", SAFETENSORS_RANK);
    for (const struct torchzip_entry *e = x->list.first; e; e = e->next) {
        if (e->value->type != TORCHZIP_INT || e->value->i < 0)
            return torchzip_pickle_wrong(v, "a shape is not of integers >= 0");
        out[n++] = e->value->i;
    }
    return n;
}

/* Every element lies in the storage. */
static int check_extent(struct torchzip_pickle *v, struct torchzip_tensor *t)
{
    const struct torchzip_storage *s = t->storage;
    int64_t last = t->offset, step;
    int bytes = dtype_table[t->t.dtype].bits / 8;

    t->t.file = t->t.name = "";
    if (safetensors_measure(&t->t, v->err) < 0)
        return torchzip_pickle_wrong(v, "a tensor's shape overflows");
    for (int i = 0; i < t->t.rank && t->t.count; i++)
        if (__builtin_mul_overflow(t->t.shape[i] - 1, t->stride[i], &step) || __builtin_add_overflow(last, step, &last))
            return torchzip_pickle_wrong(v, "a tensor's strides overflow");
    if (t->t.count && last >= s->count * s->width / bytes)
        return torchzip_pickle_wrong(v, "a tensor reaches element %" PRId64 " of a storage of %" PRId64, last, s->count * s->width / bytes);
    return 0;
}

/* (storage, offset, size, stride[, requires_grad, hooks[, metadata]]); _v3: (..., hooks, dtype[, metadata]). */
static struct torchzip_value *make_tensor(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    const struct torchzip_value *part[8];
    bool typed = strcmp(g->name, "_rebuild_tensor_v3") == 0;
    struct torchzip_value *x;
    struct torchzip_tensor *t;
    int rank;

    if (unpack(v, g, args, typed ? 7 : 4, typed ? 8 : 7, part) < 0)
        return NULL;
    if (part[0]->type != TORCHZIP_STORAGE || part[1]->type != TORCHZIP_INT || part[1]->i < 0 || (typed && part[6]->type != TORCHZIP_DTYPE) ||
        (!typed && part[0]->storage->untyped)) {
        torchzip_pickle_wrong(v, "%s.%s: not a storage, an offset and a type", g->module, g->name);
        return NULL;
    }
    x = torchzip_pickle_new(v, TORCHZIP_TENSOR);
    t = arena_calloc(v->arena, 1, sizeof *t);
    t->storage = part[0]->storage;
    t->offset = part[1]->i;
    t->t.dtype = typed ? part[6]->dtype : t->storage->dtype;
    t->t.rank = ints(v, part[2], t->t.shape);
    rank = t->t.rank < 0 ? -1 : ints(v, part[3], t->stride);
    if (rank < 0)
        return NULL;
    if (rank != t->t.rank) {
        torchzip_pickle_wrong(v, "%d sizes and %d strides", t->t.rank, rank);
        return NULL;
    }
    x->tensor = t;
    return check_extent(v, t) < 0 ? NULL : x;
}

/* (tensor, requires_grad, hooks[, state]): the tensor. */
static struct torchzip_value *make_parameter(struct torchzip_pickle *v, const struct torchzip_global *g, const struct torchzip_value *args)
{
    const struct torchzip_value *part[4];
    struct torchzip_value *x;

    if (unpack(v, g, args, 3, 4, part) < 0)
        return NULL;
    if (part[0]->type != TORCHZIP_TENSOR) {
        torchzip_pickle_wrong(v, "%s.%s without a tensor", g->module, g->name);
        return NULL;
    }
    x = torchzip_pickle_new(v, TORCHZIP_TENSOR);
    x->tensor = part[0]->tensor;
    return x;
}

#define CALL(module, name, make) { module, name, make, TORCHZIP_CALL, DTYPE_U8 }
#define INERT(module, name) CALL(module, name, make_object)
#define STORAGE(name, dtype) { "torch", name, NULL, TORCHZIP_IS_STORAGE, dtype }
#define TYPE(name, dtype) { "torch", name, NULL, TORCHZIP_IS_DTYPE, dtype }

static const struct torchzip_global globals[] = {
    CALL("torch._utils", "_rebuild_tensor_v2", make_tensor),
    CALL("torch._utils", "_rebuild_tensor_v3", make_tensor),
    CALL("torch._utils", "_rebuild_tensor", make_tensor),
    CALL("torch._utils", "_rebuild_parameter", make_parameter),
    CALL("torch._utils", "_rebuild_parameter_with_state", make_parameter),
    CALL("torch", "Size", make_size),
    CALL("collections", "OrderedDict", make_dict),
    CALL("collections", "defaultdict", make_dict),
    CALL("builtins", "dict", make_dict),
    CALL("__builtin__", "dict", make_dict),
    CALL("argparse", "Namespace", make_namespace),
    CALL("types", "SimpleNamespace", make_namespace),
    { "torch.storage", "UntypedStorage", NULL, TORCHZIP_IS_UNTYPED, DTYPE_U8 },
    STORAGE("FloatStorage", DTYPE_F32),
    STORAGE("DoubleStorage", DTYPE_F64),
    STORAGE("HalfStorage", DTYPE_F16),
    STORAGE("BFloat16Storage", DTYPE_BF16),
    STORAGE("LongStorage", DTYPE_I64),
    STORAGE("IntStorage", DTYPE_I32),
    STORAGE("ShortStorage", DTYPE_I16),
    STORAGE("CharStorage", DTYPE_I8),
    STORAGE("ByteStorage", DTYPE_U8),
    STORAGE("BoolStorage", DTYPE_BOOL),
    STORAGE("ComplexFloatStorage", DTYPE_C64),
    TYPE("float32", DTYPE_F32),
    TYPE("float64", DTYPE_F64),
    TYPE("float16", DTYPE_F16),
    TYPE("bfloat16", DTYPE_BF16),
    TYPE("float8_e4m3fn", DTYPE_F8_E4M3),
    TYPE("float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ),
    TYPE("float8_e5m2", DTYPE_F8_E5M2),
    TYPE("float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ),
    TYPE("float8_e8m0fnu", DTYPE_F8_E8M0),
    TYPE("int64", DTYPE_I64),
    TYPE("int32", DTYPE_I32),
    TYPE("int16", DTYPE_I16),
    TYPE("int8", DTYPE_I8),
    TYPE("uint64", DTYPE_U64),
    TYPE("uint32", DTYPE_U32),
    TYPE("uint16", DTYPE_U16),
    TYPE("uint8", DTYPE_U8),
    TYPE("bool", DTYPE_BOOL),
    TYPE("complex64", DTYPE_C64),
    INERT("torch", "device"),
    INERT("builtins", "set"),
    INERT("__builtin__", "set"),
    INERT("_codecs", "encode"),
    INERT("_io", "BytesIO"),
    INERT("pathlib", "PosixPath"),
    INERT("signal", "Signals"),
    INERT("numpy", "dtype"),
    INERT("numpy", "ndarray"),
    INERT("numpy.core.multiarray", "_reconstruct"),
    INERT("numpy.core.multiarray", "scalar"),
    INERT("numpy._core.multiarray", "_reconstruct"),
    INERT("numpy._core.multiarray", "scalar"),
    INERT("megatron.core.enums", "ModelType"),
    INERT("megatron.core.transformer.enums", "AttnBackend"),
    INERT("megatron.core.rerun_state_machine", "RerunDiagnostic"),
    INERT("megatron.core.rerun_state_machine", "RerunMode"),
    INERT("megatron.core.rerun_state_machine", "RerunState"),
};

const struct torchzip_global *torchzip_global_find(const char *module, size_t module_n, const char *name, size_t name_n)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        const struct torchzip_global *g = &globals[i];

        if (strlen(g->module) == module_n && memcmp(g->module, module, module_n) == 0 && strlen(g->name) == name_n &&
            memcmp(g->name, name, name_n) == 0)
            return g;
    }
    return NULL;
}

const struct torchzip_global *torchzip_global_of(enum dtype dtype, int kind)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if ((int)globals[i].kind == kind && globals[i].dtype == dtype)
            return &globals[i];
    return NULL;
}
