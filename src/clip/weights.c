/* Loading is in two steps. First the towers name every tensor they want, in the order in which the
 * forward pass meets them; each is looked up and its shape and dtype compared, and the first that
 * does not fit ends it, so the message names the same tensor each time. Only then are matrices
 * packed, dealt one by one to the threads of the pool: the 500 MB of ViT-B/32's matrices are half a
 * second of one processor.
 */
#include "clip/weights.h"

#include <math.h>

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

void vt_weights_matrix(vt_weights *w, vt_mat *out, const vt_tensor *const *parts, size_t n_parts,
                       float first_scale) {
    vt_pack_job job = {.n_parts = n_parts, .first_scale = first_scale, .out = out};
    if (w->status != VT_OK)
        return;
    for (size_t i = 0; i < n_parts; i++)
        job.parts[i] = parts[i];
    w->status = vt_array_grow(&w->jobs, &w->jobs_cap, w->n_jobs + 1, sizeof job, w->err);
    if (w->status == VT_OK)
        w->jobs[w->n_jobs++] = job;
}

/* Sizes cannot overflow: the tensors lie in a file. */
static vt_mat shape_of(const vt_pack_job *job, vt_precision precision, bool compact) {
    vt_mat m = {
        .precision = precision,
        .compact = compact,
        .n_in = job->parts[0]->count / job->parts[0]->shape[0],
    };
    for (size_t i = 0; i < job->n_parts; i++)
        m.n_out += job->parts[i]->shape[0];
    return m;
}

vt_status vt_weights_plan(vt_weights *w, vt_precision precision, size_t *bytes) {
    *bytes = 0;
    for (size_t i = 0; w->status == VT_OK && i < w->n_jobs; i++) {
        vt_mat *m = w->jobs[i].out;
        size_t panels;
        *m = shape_of(&w->jobs[i], precision, !w->wide && vt_vec_compacts(precision));
        if (!vt_mat_bytes(m, &panels) || !vt_size_add(*bytes, panels, bytes))
            w->status = vt_fail(w->err, VT_E_TOO_LARGE, "%s: a matrix of %zu by %zu is too large",
                                w->label, m->n_out, m->n_in);
    }
    return w->status;
}

bool vt_weights_plan_digest(const vt_weights *w, vt_hash *out) {
    vt_buf text;
    bool made;
    vt_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < w->n_jobs; i++)
        vt_buf_printf(&text, "%zu %zu %a\n", w->jobs[i].out->n_out, w->jobs[i].out->n_in,
                      (double)w->jobs[i].first_scale);
    *out = vt_hash_bytes(text.data, text.len);
    made = text.failed == VT_OK;
    vt_buf_release(&text);
    return made;
}

static size_t bytes_of(const vt_mat *m) {
    size_t bytes;
    return vt_mat_bytes(m, &bytes) ? bytes : 0; /* vt_weights_plan has seen that it does */
}

void vt_weights_place(vt_weights *w, const void *panels) {
    const unsigned char *at = panels;
    for (size_t i = 0; i < w->n_jobs; i++) {
        w->jobs[i].out->panels = at;
        at += bytes_of(w->jobs[i].out);
    }
}

typedef struct packing {
    const vt_weights *w;
    unsigned char *panels;
} packing;

static void pack(const packing *p, vt_pack_job *job) {
    const ptrdiff_t at = (const unsigned char *)job->out->panels - p->panels;
    vt_mat_part parts[3];
    for (size_t i = 0; i < job->n_parts; i++)
        parts[i] = (vt_mat_part){.type = job->parts[i]->type,
                                 .w = job->parts[i]->data,
                                 .n_out = job->parts[i]->shape[0],
                                 .scale = i == 0 ? job->first_scale : 1};
    job->lost = vt_mat_pack(job->out, parts, job->n_parts, p->panels + at);
}

static void pack_range(void *ctx, size_t begin, size_t end) {
    const packing *p = ctx;
    for (size_t i = begin; i < end; i++)
        pack(p, &p->w->jobs[i]);
}

float vt_weights_pack(vt_weights *w, void *panels, vt_pool *pool) {
    packing p = {.w = w, .panels = panels};
    vt_weights_place(w, panels);
    float lost = 0;
    vt_pool_for(pool, w->n_jobs, 1, pack_range, &p);
    for (size_t i = 0; i < w->n_jobs; i++)
        lost = fmaxf(lost, w->jobs[i].lost);
    return lost;
}
