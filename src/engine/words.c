/* The words of up to 512 products, as vectors: before the first customer has asked, the nearest to
 * what he will ask are the names of what is sold. The index learns from them how far from pictures
 * words lie.
 *
 * Method: a bottom-k sample (Cohen and Kaplan 2007): the products whose ids hash to the least
 * numbers. It is spread evenly over whatever order the catalogue has, and it stays: of a catalogue
 * that doubles, half of the sample is still in it, so its vectors are kept and only the others
 * encoded. Rejected: every n-th product, which is another set after each import.
 *
 * A text is the product's name or, for every other product that has one, the beginning of its
 * description, because customers ask in both manners; cut as short as a search is.
 *
 * Nobody waits for these vectors. They are computed a few at a time between queries
 * (vt_pool_give_way), and not through texts.c: a query would wait there for its turn behind a
 * thread of low priority.
 *
 * Threading: one thread at a time. */
#include "engine/words.h"

enum {
    BATCH = 4,     /* texts at once: a query that comes meanwhile shares the processors with them */
    TEXT_MAX = 80, /* bytes */
    AT_ONCE = 1024 /* products read before a query inside is made room for */
};

typedef struct pick {
    uint64_t rank;
    char *text;
    float *vector; /* NULL: to be encoded */
} pick;

struct vt_words {
    size_t n;
    pick picks[VT_WORDS_MAX]; /* by rank */
};

static void pick_release(pick *p) {
    free(p->text);
    free(p->vector);
    *p = (pick){0};
}

vt_status vt_words_open(vt_words **out, vt_err *err) {
    *out = vt_alloc(1, sizeof **out);
    return *out ? VT_OK : vt_fail_nomem(err, sizeof **out);
}

void vt_words_close(vt_words *w) {
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        pick_release(&w->picks[i]);
    free(w);
}

size_t vt_words_count(const vt_words *w) {
    return w->n;
}

void vt_words_vectors(const vt_words *w, size_t dim, float *out) {
    for (size_t i = 0; i < w->n; i++)
        memcpy(out + i * dim, w->picks[i].vector, dim * sizeof *out);
}

/* ---- the sample ---------------------------------------------------------------------- */

typedef struct walk {
    vt_engine *e;
    vt_words *fresh;
    vt_stopped_fn stopped;
    void *ctx;
    size_t seen;
} walk;

static uint64_t rank_of(const char *id) {
    vt_hash h = vt_hash_bytes(id, strlen(id));
    uint64_t rank;
    memcpy(&rank, h.bytes, sizeof rank);
    return rank;
}

/* Whole words where there are, whole characters always. */
static size_t beginning(const char *text) {
    size_t n = strlen(text), end = TEXT_MAX;
    if (n <= TEXT_MAX)
        return n;
    while (end > 0 && text[end] != ' ')
        end--;
    if (end > 0)
        return end;
    end = TEXT_MAX;
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    return end;
}

/* vt_product_fn */
static vt_status consider(void *ctx, const vt_product *p, vt_err *err) {
    walk *k = ctx;
    vt_words *w = k->fresh;
    uint64_t rank = rank_of(p->id);
    const char *text = (rank & 1) && *p->description ? p->description : p->name;
    size_t at = w->n;
    char *copy;
    if (++k->seen % AT_ONCE == 0)
        vt_pool_give_way(k->e->pool);
    if (k->stopped(k->ctx))
        return vt_fail(err, VT_E_BUSY, "stopped while reading the catalogue's words");
    while (at > 0 && w->picks[at - 1].rank > rank)
        at--;
    if (at == VT_WORDS_MAX)
        return VT_OK;
    copy = vt_strndup(text, beginning(text));
    if (!copy)
        return vt_fail_nomem(err, TEXT_MAX);
    if (w->n == VT_WORDS_MAX)
        pick_release(&w->picks[--w->n]);
    memmove(w->picks + at + 1, w->picks + at, (w->n - at) * sizeof *w->picks);
    w->picks[at] = (pick){.rank = rank, .text = copy};
    w->n++;
    return VT_OK;
}

/* ---- their vectors ------------------------------------------------------------------- */

static const pick *find(const vt_words *w, const pick *like) {
    for (size_t i = 0; i < w->n && w->picks[i].rank <= like->rank; i++)
        if (w->picks[i].rank == like->rank && strcmp(w->picks[i].text, like->text) == 0)
            return &w->picks[i];
    return NULL;
}

/* Copies, so that the old sample is whole if this one does not come about. */
static vt_status adopt(vt_words *fresh, const vt_words *old, size_t dim, vt_err *err) {
    for (size_t i = 0; i < fresh->n; i++) {
        pick *p = &fresh->picks[i];
        const pick *known = find(old, p);
        if (!known)
            continue;
        p->vector = vt_alloc(dim, sizeof *p->vector);
        if (!p->vector)
            return vt_fail_nomem(err, dim * sizeof *p->vector);
        memcpy(p->vector, known->vector, dim * sizeof *p->vector);
    }
    return VT_OK;
}

static vt_status encode_batch(vt_engine *e, pick *const *batch, size_t n, float *vectors,
                              vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    vt_clip_text texts[BATCH];
    vt_status s;
    for (size_t i = 0; i < n; i++)
        texts[i] = (vt_clip_text){batch[i]->text, strlen(batch[i]->text)};
    vt_pool_give_way(e->pool);
    s = vt_encode_texts(e, texts, n, vectors, err);
    for (size_t i = 0; i < n && s == VT_OK; i++) {
        batch[i]->vector = vt_alloc(dim, sizeof *vectors);
        if (!batch[i]->vector)
            return vt_fail_nomem(err, dim * sizeof *vectors);
        memcpy(batch[i]->vector, vectors + i * dim, dim * sizeof *vectors);
    }
    return s;
}

static vt_status encode_missing(walk *k, vt_err *err) {
    pick *batch[BATCH];
    size_t dim = vt_clip_describe(k->e->clip)->dim, n = 0;
    float *vectors = vt_alloc(BATCH, dim * sizeof *vectors);
    vt_status s = VT_OK;
    if (!vectors)
        return vt_fail_nomem(err, BATCH * dim * sizeof *vectors);
    for (size_t i = 0; i < k->fresh->n && s == VT_OK; i++) {
        if (!k->fresh->picks[i].vector)
            batch[n++] = &k->fresh->picks[i];
        if (n == 0 || (n < BATCH && i + 1 < k->fresh->n))
            continue;
        if (k->stopped(k->ctx))
            s = vt_fail(err, VT_E_BUSY, "stopped while encoding the catalogue's words");
        else
            s = encode_batch(k->e, batch, n, vectors, err);
        n = 0;
    }
    free(vectors);
    return s;
}

vt_status vt_words_update(vt_words *w, vt_engine *e, vt_stopped_fn stopped, void *ctx,
                          vt_err *err) {
    walk k = {.e = e, .stopped = stopped, .ctx = ctx};
    vt_words was;
    vt_status s = vt_words_open(&k.fresh, err);
    if (s == VT_OK)
        s = vt_catalog_list(e->catalog, "", SIZE_MAX, NULL, consider, &k, err);
    if (s == VT_OK)
        s = adopt(k.fresh, w, vt_clip_describe(e->clip)->dim, err);
    if (s == VT_OK)
        s = encode_missing(&k, err);
    if (s == VT_OK) {
        was = *w;
        *w = *k.fresh;
        *k.fresh = was;
    }
    vt_words_close(k.fresh);
    return s;
}
