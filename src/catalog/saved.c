/* The columns, written to a snapshot while they change and read from one.
 *
 *     ids         for each slot its product's id and a NUL
 *     rowids, prices, categories     arrays of int64, double, uint32, one for each slot
 *     terms       for each slot a number n and n numbers of posting lists, all uint32
 *     category_keys, term_keys     for each posting list the length of its key, uint32, and the
 * key; UNUSED for a list that has none seqs        array of uint64, 0 for a free slot
 *
 * Nothing is frozen while this is written: each slice is of another moment. What makes it one state
 * is the number S, noted before the first byte of the snapshot, and the order. A slot that is
 * touched after S is from then on either free or has a number above S. seqs is written last, so a
 * slot that has a number up to S there had not been touched until then: all sections, the index's
 * too, hold the same product of it. Posting lists likewise: one that such a slot is in has kept its
 * key. Every other slot is left out at load, whatever its torn parts say. (What has changed after
 * its number was written is here as it was before: the log of changes has it as well as all else
 * after S, and is replayed over this.) Were the index written after the columns, it could lack a
 * slot that they have, or have another product's vector in it.
 *
 * Posting lists are not saved: they follow from the slots, and are made at their exact length, in
 * ascending order, in one pass. Ids are hashed anew, as the table's seed is of the process.
 *
 * A file is believed nothing: every number is compared with what it counts or points into, ids and
 * keys are found unique by putting them into their tables. */
#include "catalog/saved.h"

#include <math.h>

#define UNUSED UINT32_MAX

enum { SLICE = 8192 };

/* ---- save ------------------------------------------------------------------------------- */

typedef vt_status (*part_fn)(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                             vt_err *err);

static vt_status save_ids(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                          vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = begin; i < end && s == VT_OK; i++) {
        const char *id = c->slots[i].id ? c->slots[i].id : "";
        s = vt_snapshot_add(w, id, strlen(id) + 1, err);
    }
    return s;
}

static vt_status save_rows(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                           vt_err *err) {
    int64_t rows[SLICE];
    for (size_t i = begin; i < end; i++)
        rows[i - begin] = c->slots[i].row;
    return vt_snapshot_add(w, rows, (end - begin) * sizeof *rows, err);
}

static vt_status save_prices(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                             vt_err *err) {
    return vt_snapshot_add(w, c->prices + begin, (end - begin) * sizeof *c->prices, err);
}

static vt_status save_categories(const vt_columns *c, size_t begin, size_t end,
                                 vt_snapshot_writer *w, vt_err *err) {
    uint32_t categories[SLICE];
    for (size_t i = begin; i < end; i++)
        categories[i - begin] = c->slots[i].category;
    return vt_snapshot_add(w, categories, (end - begin) * sizeof *categories, err);
}

static vt_status save_terms(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                            vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = begin; i < end && s == VT_OK; i++) {
        const vt_column_slot *at = &c->slots[i];
        uint32_t n = (uint32_t)at->n_terms;
        s = vt_snapshot_add(w, &n, sizeof n, err);
        if (s == VT_OK && n > 0)
            s = vt_snapshot_add(w, at->terms, n * sizeof *at->terms, err);
    }
    return s;
}

static vt_status save_keys(const vt_postings *p, size_t begin, size_t end, vt_snapshot_writer *w,
                           vt_err *err) {
    vt_status s = VT_OK;
    for (size_t i = begin; i < end && s == VT_OK; i++) {
        const vt_posting *l = &p->lists[i];
        uint32_t len = l->key ? (uint32_t)l->key_len : UNUSED;
        s = vt_snapshot_add(w, &len, sizeof len, err);
        if (s == VT_OK && l->key)
            s = vt_snapshot_add(w, l->key, l->key_len, err);
    }
    return s;
}

static vt_status save_category_keys(const vt_columns *c, size_t begin, size_t end,
                                    vt_snapshot_writer *w, vt_err *err) {
    return save_keys(&c->categories, begin, end, w, err);
}

static vt_status save_term_keys(const vt_columns *c, size_t begin, size_t end,
                                vt_snapshot_writer *w, vt_err *err) {
    return save_keys(&c->terms, begin, end, w, err);
}

static vt_status save_seqs(const vt_columns *c, size_t begin, size_t end, vt_snapshot_writer *w,
                           vt_err *err) {
    uint64_t seqs[SLICE];
    for (size_t i = begin; i < end; i++)
        seqs[i - begin] = c->slots[i].seq;
    return vt_snapshot_add(w, seqs, (end - begin) * sizeof *seqs, err);
}

static const struct part {
    const char *name;
    part_fn save;
} PARTS[] = {
    {"ids", save_ids},
    {"rowids", save_rows},
    {"prices", save_prices},
    {"categories", save_categories},
    {"terms", save_terms},
    {"category_keys", save_category_keys},
    {"term_keys", save_term_keys},
    {"seqs", save_seqs}, /* last: see above */
};
enum { N_PARTS = sizeof PARTS / sizeof PARTS[0] };

/* Slots that are new since the first slice are not written: they have changed since. */
vt_status vt_columns_save(const vt_columns *c, vt_snapshot_writer *w, vt_saving *state, bool *more,
                          vt_err *err) {
    const struct part *part = &PARTS[state->part];
    size_t n, end;
    vt_status s = VT_OK;
    if (state->part == 0 && state->at == 0)
        state->slots = c->n;
    n = part->save == save_category_keys ? c->categories.n
        : part->save == save_term_keys   ? c->terms.n
                                         : state->slots;
    end = n - state->at < SLICE ? n : state->at + SLICE;
    if (state->at == 0)
        s = vt_snapshot_section(w, part->name, err);
    if (s == VT_OK && n > 0) /* without slots there are no arrays */
        s = part->save(c, state->at, end, w, err);
    state->at = end;
    if (end == n) {
        state->part++;
        state->at = 0;
    }
    *more = state->part < N_PARTS;
    return s;
}

/* ---- load ------------------------------------------------------------------------------- */

typedef struct key { /* of a posting list */
    const char *bytes;
    uint32_t len; /* or UNUSED */
    size_t slots; /* that will be in it */
} key;

typedef struct keys {
    key *all;
    size_t n;
} keys;

typedef struct loader {
    const vt_snapshot *snapshot;
    vt_columns *out;
    uint64_t seq;
    size_t n;
    const char *ids, *ids_end;
    const int64_t *rows;
    const double *prices;
    const uint32_t *categories, *terms, *terms_end;
    const uint64_t *seqs;
    keys category_keys, term_keys;
} loader;

static vt_status damaged(vt_err *err, const char *what, size_t at) {
    return vt_fail(err, VT_E_CORRUPT, "the snapshot's columns: %s %zu is damaged", what, at);
}

/* A section that is an array of l->n elements, or NULL. */
static const void *find_array(const loader *l, const char *name, size_t size) {
    size_t bytes;
    const void *array = vt_snapshot_find(l->snapshot, name, &bytes);
    return array && bytes / size == l->n && bytes % size == 0 ? array : NULL;
}

static vt_status find_sections(loader *l, vt_err *err) {
    size_t ids = 0, terms = 0, seqs = 0;
    l->ids = vt_snapshot_find(l->snapshot, "ids", &ids);
    l->terms = vt_snapshot_find(l->snapshot, "terms", &terms);
    (void)vt_snapshot_find(l->snapshot, "seqs", &seqs);
    l->n = seqs / sizeof *l->seqs;
    l->seqs = find_array(l, "seqs", sizeof *l->seqs);
    l->rows = find_array(l, "rowids", sizeof *l->rows);
    l->prices = find_array(l, "prices", sizeof *l->prices);
    l->categories = find_array(l, "categories", sizeof *l->categories);
    if (!l->ids || !l->terms || !l->seqs || !l->rows || !l->prices || !l->categories ||
        terms % sizeof *l->terms != 0 || l->n > UINT32_MAX - 1)
        return vt_fail(err, VT_E_CORRUPT, "the snapshot's columns are missing or of wrong lengths");
    l->ids_end = l->ids + ids;
    l->terms_end = l->terms + terms / sizeof *l->terms;
    return VT_OK;
}

/* One key from *at on; false where the section ends inside it. */
static bool next_key(const char **at, const char *end, key *out) {
    *out = (key){0};
    if ((size_t)(end - *at) < sizeof out->len)
        return false;
    memcpy(&out->len, *at, sizeof out->len); /* keys before it have any length: it is unaligned */
    *at += sizeof out->len;
    if (out->len == UNUSED)
        return true;
    if (out->len > (size_t)(end - *at) || out->len > VT_TERM_KEY_MAX)
        return false;
    out->bytes = *at;
    *at += out->len;
    return true;
}

static vt_status read_keys(const loader *l, const char *name, keys *out, vt_err *err) {
    size_t bytes = 0, cap = 0;
    const char *at = vt_snapshot_find(l->snapshot, name, &bytes), *end = at ? at + bytes : NULL;
    vt_status s = at ? VT_OK : vt_fail(err, VT_E_CORRUPT, "the snapshot has no \"%s\"", name);
    while (s == VT_OK && at < end) {
        s = vt_array_grow(&out->all, &cap, out->n + 1, sizeof *out->all, err);
        if (s == VT_OK && (out->n >= UINT32_MAX || !next_key(&at, end, &out->all[out->n])))
            s = damaged(err, "the key of posting list", out->n);
        out->n++;
    }
    return s;
}

/* Counts a slot into its list; false where there is no such list. */
static bool count_in(const keys *k, uint32_t list) {
    if (list >= k->n || k->all[list].len == UNUSED)
        return false;
    k->all[list].slots++;
    return true;
}

static bool slot_fits(const loader *l, uint32_t slot, const char *id, size_t id_len,
                      const uint32_t *terms, size_t n_terms) {
    double price = l->prices[slot];
    bool fits = id_len >= 1 && id_len <= VT_PRODUCT_ID_MAX &&
                !vt_dict_find(&l->out->ids, id, id_len) &&
                (isnan(price) || (isfinite(price) && price >= 0)) &&
                count_in(&l->category_keys, l->categories[slot]);
    for (size_t i = 0; i < n_terms && fits; i++)
        fits = count_in(&l->term_keys, terms[i]);
    return fits;
}

static vt_status keep_slot(const loader *l, uint32_t slot, const char *id, size_t id_len,
                           const uint32_t *terms, size_t n_terms, vt_err *err) {
    vt_columns *c = l->out;
    vt_column_slot *at = &c->slots[slot];
    vt_status s;
    if (!slot_fits(l, slot, id, id_len, terms, n_terms))
        return damaged(err, "slot", slot);
    s = vt_dict_insert(&c->ids, id, id_len, slot, &at->id, err);
    if (s != VT_OK)
        return s;
    at->terms = n_terms > 0 ? vt_alloc(n_terms, sizeof *terms) : NULL;
    if (n_terms > 0 && !at->terms)
        return vt_fail_nomem(err, n_terms * sizeof *terms);
    if (n_terms > 0)
        memcpy(at->terms, terms, n_terms * sizeof *terms);
    at->n_terms = at->cap_terms = n_terms;
    at->row = l->rows[slot];
    at->seq = l->seqs[slot];
    at->category = l->categories[slot];
    c->prices[slot] = l->prices[slot];
    vt_bitset_set(&c->live, slot, true);
    return VT_OK;
}

static vt_status make_room(const loader *l, vt_err *err) {
    vt_columns *c = l->out;
    vt_status s = vt_array_grow(&c->slots, &c->cap_slots, l->n, sizeof *c->slots, err);
    if (s == VT_OK)
        s = vt_array_grow(&c->prices, &c->cap_prices, l->n, sizeof *c->prices, err);
    if (s == VT_OK)
        s = vt_array_grow(&c->free_slots, &c->cap_free, l->n, sizeof *c->free_slots, err);
    if (s == VT_OK)
        s = vt_bitset_resize(&c->live, l->n, err);
    if (s == VT_OK)
        s = vt_dict_reserve(&c->ids, l->n, err);
    return s;
}

/* Walks the slots. Each is counted in c->n once it is whole enough to be released. */
static vt_status read_slots(const loader *l, vt_err *err) {
    vt_columns *c = l->out;
    const char *id = l->ids;
    const uint32_t *terms = l->terms;
    vt_status s = make_room(l, err);
    for (uint32_t slot = 0; slot < l->n && s == VT_OK; slot++) {
        const char *id_end = memchr(id, 0, (size_t)(l->ids_end - id));
        size_t n_terms = terms < l->terms_end ? *terms++ : SIZE_MAX;
        if (!id_end || n_terms > (size_t)(l->terms_end - terms))
            return damaged(err, "slot", slot);
        c->slots[slot] = (vt_column_slot){0};
        c->prices[slot] = NAN;
        c->n++;
        if (l->seqs[slot] > 0 && l->seqs[slot] <= l->seq)
            s = keep_slot(l, slot, id, (size_t)(id_end - id), terms, n_terms, err);
        else
            c->free_slots[c->n_free++] = slot;
        id = id_end + 1;
        terms += n_terms;
    }
    if (s == VT_OK && (id != l->ids_end || terms != l->terms_end))
        s = damaged(err, "what follows slot", l->n);
    return s;
}

static vt_status open_lists(const keys *k, vt_postings *p, vt_err *err) {
    vt_status s = vt_postings_reserve(p, k->n, err);
    for (size_t i = k->n; i-- > 0 && s == VT_OK;) { /* so that the first unused is used first */
        const key *of = &k->all[i];
        if (of->slots > 0)
            s = vt_postings_open(p, (uint32_t)i, of->bytes, of->len, of->slots, err);
        else
            vt_postings_skip(p, (uint32_t)i);
    }
    return s;
}

static vt_status list_slots(const loader *l, vt_err *err) {
    vt_columns *c = l->out;
    vt_status s = open_lists(&l->category_keys, &c->categories, err);
    if (s == VT_OK)
        s = open_lists(&l->term_keys, &c->terms, err);
    for (uint32_t slot = 0; slot < l->n && s == VT_OK; slot++) {
        const vt_column_slot *at = &c->slots[slot];
        if (!at->id)
            continue;
        (void)vt_postings_append(&c->categories, at->category, slot);
        for (size_t i = 0; i < at->n_terms && s == VT_OK; i++)
            if (!vt_postings_append(&c->terms, at->terms[i], slot))
                s = damaged(err, "slot", slot);
    }
    return s;
}

vt_status vt_columns_load(const vt_snapshot *s, uint64_t seq, vt_columns *out, vt_err *err) {
    loader l = {.snapshot = s, .out = out, .seq = seq};
    vt_status status;
    vt_columns_init(out);
    status = find_sections(&l, err);
    if (status == VT_OK)
        status = read_keys(&l, "category_keys", &l.category_keys, err);
    if (status == VT_OK)
        status = read_keys(&l, "term_keys", &l.term_keys, err);
    if (status == VT_OK)
        status = read_slots(&l, err);
    if (status == VT_OK)
        status = list_slots(&l, err);
    free(l.category_keys.all);
    free(l.term_keys.all);
    if (status != VT_OK)
        vt_columns_release(out);
    return status;
}
