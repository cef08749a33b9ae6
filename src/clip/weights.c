/* Loading is in two steps. First the towers name every tensor they want, in the order in which the
 * forward pass meets them; each is looked up and its shape and dtype compared, and the first that
 * does not fit ends it, so the message names the same tensor each time. Only then are matrices
 * packed, dealt one by one to the threads of the pool: the 500 MB of ViT-B/32's matrices are half a
 * second of one processor.
 *
 * Tensors of one fused matrix may differ in dtype (someone quantised half a model to bf16); they
 * are then widened to float32 before. */
#include "clip/weights.h"

enum { NAME_MAX_BYTES = 192 };

void vt_weights_init(vt_weights *w, const char *label, const vt_safetensors *file, vt_err *err) {
    *w = (vt_weights){.label = label, .file = file, .err = err};
}

void vt_weights_release(vt_weights *w) {
    free(w->jobs);
    w->jobs = NULL;
}

static void write_shape(vt_buf *out, const size_t *size, size_t rank) {
    vt_buf_puts(out, "[");
    for (size_t i = 0; i < rank; i++)
        vt_buf_printf(out, i > 0 ? ", %zu" : "%zu", size[i]);
    vt_buf_puts(out, "]");
}

static vt_status wrong_shape(const vt_weights *w, const char *name, const vt_tensor *found,
                             const vt_shape *wanted) {
    vt_buf text;
    vt_buf_init(&text, 1024);
    if (found) {
        vt_buf_puts(&text, "has shape ");
        write_shape(&text, found->shape, found->rank);
    } else {
        vt_buf_puts(&text, "is missing");
    }
    vt_buf_puts(&text, ", the configuration asks for ");
    write_shape(&text, wanted->size, wanted->rank);
    (void)vt_fail(w->err, VT_E_MODEL, "%s: tensor \"%s\" %s", w->label, name,
                  text.data ? text.data : "");
    vt_buf_release(&text);
    return VT_E_MODEL;
}

static bool same_shape(const vt_tensor *t, const vt_shape *shape) {
    return t->rank == shape->rank &&
           memcmp(t->shape, shape->size, shape->rank * sizeof *shape->size) == 0;
}

static const vt_tensor *find(vt_weights *w, const vt_shape *shape, const char *fmt, va_list args)
    VT_PRINTF(3, 0);

static const vt_tensor *find(vt_weights *w, const vt_shape *shape, const char *fmt, va_list args) {
    char name[NAME_MAX_BYTES];
    const vt_tensor *t;
    if (w->status != VT_OK)
        return NULL;
    vsnprintf(name, sizeof name, fmt, args);
    t = vt_safetensors_find(w->file, name);
    if (!t || !same_shape(t, shape))
        w->status = wrong_shape(w, name, t, shape);
    else if (!t->readable)
        w->status = vt_fail(w->err, VT_E_MODEL,
                            "%s: tensor \"%s\" has dtype %s; F32, F16 and BF16 are read", w->label,
                            name, t->dtype);
    if (w->status != VT_OK)
        return NULL;
    w->parameters += t->count;
    return t;
}

const vt_tensor *vt_weights_find(vt_weights *w, vt_shape shape, const char *fmt, ...) {
    const vt_tensor *t;
    va_list args;
    va_start(args, fmt);
    t = find(w, &shape, fmt, args);
    va_end(args);
    return t;
}

void vt_weights_vector(vt_weights *w, float *out, size_t n, const char *fmt, ...) {
    const vt_shape shape = {1, {n}};
    const vt_tensor *t;
    va_list args;
    va_start(args, fmt);
    t = find(w, &shape, fmt, args);
    va_end(args);
    if (t)
        vt_tensor_to_f32(t, out);
}

void vt_weights_matrix(vt_weights *w, vt_mat **out, const vt_tensor *const *parts, size_t n_parts) {
    vt_pack_job job = {.n_parts = n_parts, .out = out};
    if (w->status != VT_OK)
        return;
    for (size_t i = 0; i < n_parts; i++)
        job.parts[i] = parts[i];
    w->status = vt_array_grow(&w->jobs, &w->jobs_cap, w->n_jobs + 1, sizeof job, w->err);
    if (w->status == VT_OK)
        w->jobs[w->n_jobs++] = job;
}

static vt_status pack_mixed(const vt_pack_job *job, const size_t *n_out, size_t n_in, vt_err *err) {
    const void *data[3];
    size_t total = 0, used = 0;
    float *wide;
    vt_status s;
    for (size_t i = 0; i < job->n_parts; i++)
        total += job->parts[i]->count;
    wide = vt_alloc_aligned(total, sizeof *wide);
    if (!wide)
        return vt_fail_nomem(err, total * sizeof *wide);
    for (size_t i = 0; i < job->n_parts; i++) {
        vt_tensor_to_f32(job->parts[i], wide + used);
        data[i] = wide + used;
        used += job->parts[i]->count;
    }
    s = vt_mat_pack_many(VT_F32, data, n_out, job->n_parts, n_in, job->out, err);
    free(wide);
    return s;
}

static vt_status pack(const vt_pack_job *job, vt_err *err) {
    const vt_tensor *first = job->parts[0];
    const size_t n_in = first->count / first->shape[0];
    const void *data[3];
    size_t n_out[3];
    bool mixed = false;
    for (size_t i = 0; i < job->n_parts; i++) {
        data[i] = job->parts[i]->data;
        n_out[i] = job->parts[i]->shape[0];
        mixed = mixed || job->parts[i]->type != first->type;
    }
    if (mixed)
        return pack_mixed(job, n_out, n_in, err);
    return vt_mat_pack_many(first->type, data, n_out, job->n_parts, n_in, job->out, err);
}

static void pack_range(void *ctx, size_t begin, size_t end) {
    vt_pack_job *jobs = ctx;
    for (size_t i = begin; i < end; i++)
        jobs[i].status = pack(&jobs[i], &jobs[i].err);
}

vt_status vt_weights_pack(vt_weights *w, vt_pool *pool, uint64_t *bytes) {
    *bytes = 0;
    if (w->status != VT_OK)
        return w->status;
    vt_pool_for(pool, w->n_jobs, 1, pack_range, w->jobs);
    for (size_t i = 0; i < w->n_jobs; i++) {
        if (w->jobs[i].status != VT_OK) {
            *w->err = w->jobs[i].err;
            return w->status = w->jobs[i].status;
        }
        *bytes += vt_mat_bytes(*w->jobs[i].out);
    }
    return VT_OK;
}
