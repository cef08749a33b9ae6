/* Which category a picture belongs to: zero-shot by the words of the catalogue's categories
 * (Radford et al. 2021, 3.1), blended with the mean vectors of their products (nearest class mean;
 * Snell et al. 2017, Prototypical Networks). Words alone know a category of one product, and
 * nothing of a category named "misc"; means are the other way round. How much each counts is
 * measured on the catalogue itself (calibration.h): its products are examples whose category is
 * known, each judged with its own vector taken out of its category's mean (leave-one-out). A
 * category of one product has no mean without it, so that product is no example.
 *
 * All of it is a view of one state of the catalogue, immutable and shared by count. Whoever finds
 * the view older than the catalogue builds the next one while others wait for it, with no lock
 * held; words encoded before are taken over by name, so a new view costs encoding only for new
 * categories. The first view is built when first asked for, not at start: a command that shows one
 * product should not wait for the words of all categories. Rejected: an older view until the next
 * one is there (an answer would not be that of the catalogue its cache key names).
 *
 * A vector of nothing in the catalogue still gets a category: confidence tells them from each
 * other, not from everything else. */
#include "engine/state.h"

#include <math.h>
#include <pthread.h>

enum {
    EXAMPLES_MAX = 2000,
    EXAMPLES_MIN = 64,
    SCORES_MAX = 1 << 18, /* examples times categories: what calibration.c counts on */
};

typedef struct view {
    unsigned users; /* under the lock */
    vt_category_vectors v;
    float *images; /* [n][dim]: v.means at unit length; zeros where products cancel out */
    float *norms;  /* [n]: what the lengths were */
    float *texts;  /* [n][dim] */
    vt_calibration calibration;
} view;

struct vt_categories {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    view *current; /* NULL until first asked for */
    bool building;
};

/* ---- examples ----------------------------------------------------------------------------- */

typedef struct examples {
    vt_examples x;
    float *text, *image;
    uint32_t *category;
} examples;

static void examples_release(examples *ex) {
    free(ex->text);
    free(ex->image);
    free(ex->category);
}

/* Cosine of a unit vector x with the mean of the n - 1 other products, from dot = <x, mean of all
 * n> and that mean's length: the sum of the others is n * mean - x. */
static float cosine_without(float dot, float norm, size_t n) {
    double count = (double)n, along = count * (double)dot, length = count * (double)norm;
    double squares = length * length - 2 * along + 1;
    return squares > 1e-6 ? (float)((along - 1) / sqrt(squares)) : 0;
}

static void add_example(const view *w, size_t sample, examples *ex) {
    const vt_category_vectors *v = &w->v;
    const float *vector = v->samples + sample * v->dim;
    uint32_t own = v->sample_of[sample];
    float *text = ex->text + ex->x.n * v->n, *image = ex->image + ex->x.n * v->n;
    if (v->products[own] < 2)
        return;
    vt_vec_dot_rows(vector, w->texts, v->n, v->dim, text);
    vt_vec_dot_rows(vector, w->images, v->n, v->dim, image);
    image[own] = cosine_without(image[own] * w->norms[own], w->norms[own], v->products[own]);
    ex->category[ex->x.n++] = own;
}

/* To be released also where it fails. */
static vt_status examples_make(const view *w, examples *ex, vt_err *err) {
    size_t n = w->v.n_samples, row = w->v.n * sizeof(float);
    *ex = (examples){
        .text = vt_alloc(n, row),
        .image = vt_alloc(n, row),
        .category = vt_alloc(n, sizeof *ex->category),
    };
    if (!ex->text || !ex->image || !ex->category)
        return vt_fail_nomem(err, 2 * n * row);
    ex->x.n_categories = w->v.n;
    ex->x.text = ex->text;
    ex->x.image = ex->image;
    ex->x.category = ex->category;
    for (size_t i = 0; i < n; i++)
        add_example(w, i, ex);
    return VT_OK;
}

/* ---- building a view ---------------------------------------------------------------------- */

static void view_close(view *w) {
    if (!w)
        return;
    vt_category_vectors_release(&w->v);
    free(w->images);
    free(w->norms);
    free(w->texts);
    free(w);
}

static int by_name(const void *key, const void *element) {
    const char *const *name = element;
    return strcmp(key, *name);
}

/* The words' vector of this category in an older view; NULL where it is not in there. */
static const float *text_of(const view *old, const char *name) {
    const char *const *found = NULL;
    if (old && old->v.n > 0)
        found = bsearch(name, old->v.names, old->v.n, sizeof *old->v.names, by_name);
    return found ? old->texts + (size_t)(found - (const char *const *)old->v.names) * old->v.dim
                 : NULL;
}

static vt_status encode_names(vt_engine *e, view *w, const view *old, vt_err *err) {
    size_t dim = w->v.dim;
    vt_status s = VT_OK;
    for (size_t i = 0; i < w->v.n && s == VT_OK; i++) {
        const float *known = text_of(old, w->v.names[i]);
        if (known)
            memcpy(w->texts + i * dim, known, dim * sizeof *known);
        else
            s = vt_prompt_vector(e, w->v.names[i], w->texts + i * dim, err);
    }
    return s;
}

static void normalize_means(view *w) {
    for (size_t i = 0; i < w->v.n; i++) {
        float *image = w->images + i * w->v.dim;
        memcpy(image, w->v.means + i * w->v.dim, w->v.dim * sizeof *image);
        w->norms[i] = vt_vec_normalize(image, w->v.dim);
    }
}

static vt_status calibrate(view *w, vt_err *err) {
    examples ex;
    vt_status s = examples_make(w, &ex, err);
    if (s == VT_OK)
        w->calibration = vt_calibration_fit(&ex.x, 0, 1);
    examples_release(&ex);
    return s;
}

/* Fewer examples where there are many categories, so that a view costs the same. */
static size_t examples_wanted(vt_engine *e) {
    vt_catalog_stats stats;
    size_t n;
    vt_catalog_describe(e->catalog, &stats);
    n = SCORES_MAX / (stats.categories + 1);
    return n < EXAMPLES_MIN ? EXAMPLES_MIN : n < EXAMPLES_MAX ? n : EXAMPLES_MAX;
}

static vt_status view_make(vt_engine *e, const view *old, view **out, vt_err *err) {
    view *w = vt_alloc(1, sizeof *w);
    vt_status s;
    *out = NULL;
    if (!w)
        return vt_fail_nomem(err, sizeof *w);
    s = vt_catalog_category_vectors(e->catalog, examples_wanted(e), &w->v, err);
    if (s != VT_OK)
        goto done;
    w->images = vt_alloc(w->v.n, w->v.dim * sizeof *w->images);
    w->texts = vt_alloc(w->v.n, w->v.dim * sizeof *w->texts);
    w->norms = vt_alloc(w->v.n, sizeof *w->norms);
    if (!w->images || !w->texts || !w->norms) {
        s = vt_fail_nomem(err, w->v.n * w->v.dim * sizeof *w->images);
        goto done;
    }
    normalize_means(w);
    s = encode_names(e, w, old, err);
    if (s == VT_OK)
        s = calibrate(w, err);
done:
    if (s == VT_OK)
        *out = w;
    else
        view_close(w);
    return s;
}

/* ---- sharing views ------------------------------------------------------------------------ */

vt_status vt_categories_open(vt_categories **out, vt_err *err) {
    vt_categories *c = *out = vt_alloc(1, sizeof *c);
    if (!c)
        return vt_fail_nomem(err, sizeof *c);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    return VT_OK;
}

void vt_categories_close(vt_categories *c) {
    if (!c)
        return;
    view_close(c->current);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* Under the lock. NULL is allowed. */
static void drop(view *w) {
    if (w && --w->users == 0)
        view_close(w);
}

static void view_give(vt_categories *c, view *w) {
    pthread_mutex_lock(&c->lock);
    drop(w);
    pthread_mutex_unlock(&c->lock);
}

/* Called with the lock and the right to build; returns with the lock. Only the builder replaces
 * current, so the old view stays while the lock is given away. */
static vt_status build_next(vt_engine *e, vt_err *err) {
    vt_categories *c = e->categories;
    view *next;
    vt_status s;
    c->building = true;
    pthread_mutex_unlock(&c->lock);
    s = view_make(e, c->current, &next, err);
    pthread_mutex_lock(&c->lock);
    c->building = false;
    if (next) {
        drop(c->current);
        next->users = 1; /* current's */
        c->current = next;
    }
    pthread_cond_broadcast(&c->changed);
    return s;
}

/* A view at least as new as the catalogue is now; the caller gives it back. */
static vt_status view_take(vt_engine *e, view **out, vt_err *err) {
    vt_categories *c = e->categories;
    uint64_t wanted = vt_catalog_generation(e->catalog);
    vt_status s = VT_OK;
    *out = NULL;
    pthread_mutex_lock(&c->lock);
    while (s == VT_OK && (!c->current || c->current->v.generation < wanted)) {
        if (c->building)
            pthread_cond_wait(&c->changed, &c->lock);
        else
            s = build_next(e, err);
    }
    if (s == VT_OK) {
        *out = c->current;
        c->current->users++;
    }
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* ---- detection ---------------------------------------------------------------------------- */

/* What there is to choose between, with the scores of one picture. */
typedef struct choice {
    size_t n;
    const char *const *names;
    float *text, *image, *confidence; /* [n] each, in one piece at text */
} choice;

static vt_status choice_make(choice *ch, const char *const *names, size_t n, vt_err *err) {
    *ch = (choice){.n = n, .names = names, .text = vt_alloc(n, 3 * sizeof *ch->text)};
    if (!ch->text) {
        (void)vt_fail_nomem(err, 3 * n * sizeof *ch->text);
        return VT_E_NOMEM;
    }
    ch->image = ch->text + n;
    ch->confidence = ch->image + n;
    return VT_OK;
}

static vt_status decide(choice *ch, const vt_calibration *c, vt_detection *out, vt_err *err) {
    vt_hit best[VT_DETECTED_MAX];
    vt_topk top;
    vt_calibration_apply(c, ch->text, ch->image, ch->n, ch->confidence);
    vt_topk_init(&top, best, VT_DETECTED_MAX, NULL, NULL);
    for (size_t i = 0; i < ch->n; i++)
        vt_topk_offer(&top, ch->confidence[i], (uint32_t)i);
    vt_topk_sort(&top);
    for (size_t i = 0; i < top.n; i++) {
        const char *name = ch->names[best[i].slot];
        out->category[i] = vt_strdup(name);
        if (!out->category[i])
            return vt_fail_nomem(err, strlen(name));
        out->confidence[i] = best[i].score;
        out->n++;
    }
    out->sure = c->measured && out->n > 0 && out->confidence[0] >= VT_SURE;
    return VT_OK;
}

void vt_detection_release(vt_detection *d) {
    for (size_t i = 0; i < d->n; i++)
        free(d->category[i]);
    *d = (vt_detection){0};
}

vt_status vt_detect_category(vt_engine *e, const float *vector, vt_detection *out, vt_err *err) {
    view *w;
    choice ch = {0};
    vt_status s;
    *out = (vt_detection){0};
    s = view_take(e, &w, err);
    if (s != VT_OK)
        return s;
    if (w->v.n == 0)
        goto done;
    s = choice_make(&ch, (const char *const *)w->v.names, w->v.n, err);
    if (s != VT_OK)
        goto done;
    vt_vec_dot_rows(vector, w->texts, w->v.n, w->v.dim, ch.text);
    vt_vec_dot_rows(vector, w->images, w->v.n, w->v.dim, ch.image);
    s = decide(&ch, &w->calibration, out, err);
done:
    view_give(e->categories, w);
    free(ch.text);
    return s;
}

/* There are no examples of labels that somebody makes up, so the confidence is the model's own: the
 * softmax at the scale it was trained with. */
vt_status vt_detect_label(vt_engine *e, const float *vector, const char *const *labels, size_t n,
                          vt_detection *out, vt_err *err) {
    const vt_clip_info *model = vt_clip_describe(e->clip);
    vt_calibration own = {.temperature = 1 / model->logit_scale, .measured = true};
    float *words = vt_alloc(model->dim, sizeof *words);
    choice ch = {0};
    vt_status s;
    *out = (vt_detection){0};
    if (!words)
        return vt_fail_nomem(err, model->dim * sizeof *words);
    s = choice_make(&ch, labels, n, err);
    for (size_t i = 0; i < n && s == VT_OK; i++) {
        s = vt_prompt_vector(e, labels[i], words, err);
        ch.text[i] = vt_vec_dot(vector, words, model->dim);
    }
    if (s == VT_OK)
        s = decide(&ch, &own, out, err);
    free(ch.text);
    free(words);
    return s;
}

vt_status vt_categories_reliability(vt_engine *e, vt_reliability *r, vt_calibration *c,
                                    vt_err *err) {
    view *w;
    examples ex;
    vt_status s;
    *r = (vt_reliability){0};
    s = view_take(e, &w, err);
    if (s != VT_OK)
        return s;
    *c = w->calibration;
    s = examples_make(w, &ex, err);
    if (s == VT_OK)
        s = vt_reliability_measure(r, &ex.x, err);
    examples_release(&ex);
    view_give(e->categories, w);
    return s;
}
