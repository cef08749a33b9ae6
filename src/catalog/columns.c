/* Columns: slot -> product id, row, seq and price; category and attribute terms -> posting lists.
 * select.c evaluates filters over them.
 *
 * A slot is the product's number in memory, the same in the columns and in the index, dense
 * from 0. Slots of deleted products are used again, so memory follows the number of products and
 * not of changes. They mean nothing on disk: every start numbers anew.
 *
 * Not synchronised: memory.c holds the lock. */
#include "catalog/columns.h"

#include <math.h>

void vt_columns_init(vt_columns *c) {
    *c = (vt_columns){0};
    vt_dict_init(&c->ids);
    vt_bitset_init(&c->live);
    vt_postings_init(&c->categories);
    vt_postings_init(&c->terms);
}

void vt_columns_release(vt_columns *c) {
    for (size_t i = 0; i < c->n; i++)
        free(c->slots[i].terms);
    free(c->slots);
    free(c->prices);
    free(c->free_slots);
    vt_dict_release(&c->ids);
    vt_bitset_release(&c->live);
    vt_postings_release(&c->categories);
    vt_postings_release(&c->terms);
    *c = (vt_columns){0};
}

bool vt_columns_find(const vt_columns *c, const char *id, uint32_t *slot) {
    const vt_dict_entry *e = vt_dict_find(&c->ids, id, strlen(id));
    if (e)
        *slot = e->value;
    return e != NULL;
}

bool vt_columns_tie(void *columns, uint32_t a, uint32_t b) {
    const vt_columns *c = columns;
    return strcmp(c->slots[a].id, c->slots[b].id) < 0; /* compares as unsigned char: bytes */
}

/* ---- change ----------------------------------------------------------------------------- */

/* Makes room for one more slot at the end, so that using it cannot fail. */
static vt_status grow(vt_columns *c, vt_err *err) {
    size_t need = c->n + 1;
    vt_status s;
    if (c->n >= UINT32_MAX - 1)
        return vt_fail(err, VT_E_TOO_LARGE, "the catalogue holds as many products as it can");
    s = vt_array_grow(&c->slots, &c->cap_slots, need, sizeof *c->slots, err);
    if (s == VT_OK)
        s = vt_array_grow(&c->prices, &c->cap_prices, need, sizeof *c->prices, err);
    if (s == VT_OK)
        s = vt_array_grow(&c->free_slots, &c->cap_free, need, sizeof *c->free_slots, err);
    if (s == VT_OK)
        s = vt_bitset_resize(&c->live, need, err);
    return s;
}

static vt_status slot_take(vt_columns *c, const char *id, uint32_t *slot, vt_err *err) {
    bool fresh = c->n_free == 0;
    const char *stored;
    vt_status s = fresh ? grow(c, err) : VT_OK;
    if (s != VT_OK)
        return s;
    *slot = fresh ? (uint32_t)c->n : c->free_slots[c->n_free - 1];
    s = vt_dict_insert(&c->ids, id, strlen(id), *slot, &stored, err);
    if (s != VT_OK)
        return s;
    if (fresh)
        c->n++;
    else
        c->n_free--;
    c->slots[*slot] = (vt_column_slot){.id = stored, .category = UINT32_MAX};
    c->prices[*slot] = NAN;
    vt_bitset_set(&c->live, *slot, true);
    return VT_OK;
}

/* Takes the slot out of every posting list it is in. */
static void unlist(vt_columns *c, uint32_t slot) {
    vt_column_slot *at = &c->slots[slot];
    if (at->category != UINT32_MAX)
        vt_postings_remove(&c->categories, at->category, slot);
    for (size_t i = 0; i < at->n_terms; i++)
        vt_postings_remove(&c->terms, at->terms[i], slot);
    at->category = UINT32_MAX;
    at->n_terms = 0;
}

static void slot_free(vt_columns *c, uint32_t slot) {
    vt_column_slot *at = &c->slots[slot];
    unlist(c, slot);
    free(at->terms);
    vt_dict_remove(&c->ids, at->id, strlen(at->id));
    *at = (vt_column_slot){0};
    c->prices[slot] = NAN;
    vt_bitset_set(&c->live, slot, false);
    c->free_slots[c->n_free++] = slot;
}

typedef struct lister {
    vt_columns *columns;
    uint32_t slot;
} lister;

static vt_status list_term(void *ctx, const char *key, size_t len, vt_err *err) {
    lister *l = ctx;
    vt_column_slot *at = &l->columns->slots[l->slot];
    uint32_t list;
    bool added;
    vt_status s =
        vt_array_grow(&at->terms, &at->cap_terms, at->n_terms + 1, sizeof *at->terms, err);
    if (s == VT_OK)
        s = vt_postings_add(&l->columns->terms, key, len, l->slot, &list, &added, err);
    if (s == VT_OK && added)
        at->terms[at->n_terms++] = list;
    return s;
}

static vt_status list_product(vt_columns *c, const vt_product *p, uint32_t slot, vt_err *err) {
    lister l = {.columns = c, .slot = slot};
    bool added;
    uint32_t category;
    vt_status s = vt_postings_add(&c->categories, p->category, strlen(p->category), slot, &category,
                                  &added, err);
    if (s != VT_OK)
        return s;
    c->slots[slot].category = category;
    return vt_terms_walk(p->attributes, list_term, &l, err);
}

vt_status vt_columns_put(vt_columns *c, const vt_product *p, int64_t row, uint32_t *slot,
                         vt_err *err) {
    vt_status s = VT_OK;
    if (vt_columns_find(c, p->id, slot))
        unlist(c, *slot);
    else
        s = slot_take(c, p->id, slot, err);
    if (s != VT_OK)
        return s;
    s = list_product(c, p, *slot, err);
    if (s != VT_OK) {
        slot_free(c, *slot);
        return s;
    }
    c->slots[*slot].row = row;
    c->slots[*slot].seq = p->seq;
    c->prices[*slot] = p->price;
    return VT_OK;
}

bool vt_columns_remove(vt_columns *c, const char *id, uint32_t *slot) {
    if (!vt_columns_find(c, id, slot))
        return false;
    slot_free(c, *slot);
    return true;
}

/* ---- size and check --------------------------------------------------------------------- */

size_t vt_columns_bytes(const vt_columns *c) {
    size_t bytes = c->ids.bytes + c->categories.dict.bytes + c->terms.dict.bytes +
                   c->categories.bytes + c->terms.bytes +
                   (c->categories.cap + c->terms.cap) * sizeof(vt_posting) +
                   c->cap_slots * sizeof *c->slots + c->cap_prices * sizeof *c->prices +
                   c->cap_free * sizeof *c->free_slots + c->live.cap * sizeof *c->live.words;
    for (size_t i = 0; i < c->n; i++)
        bytes += c->slots[i].cap_terms * sizeof *c->slots[i].terms;
    return bytes;
}

static vt_status check_slot(const vt_columns *c, uint32_t slot, size_t *listed, vt_err *err) {
    const vt_column_slot *at = &c->slots[slot];
    uint32_t found;
    if (vt_bitset_get(&c->live, slot) != (at->id != NULL))
        return vt_fail(err, VT_E_CORRUPT, "slot %u: live bit and id disagree", slot);
    if (!at->id)
        return at->n_terms == 0 && isnan(c->prices[slot])
                   ? VT_OK
                   : vt_fail(err, VT_E_CORRUPT, "slot %u is free but not empty", slot);
    if (!vt_columns_find(c, at->id, &found) || found != slot)
        return vt_fail(err, VT_E_CORRUPT, "slot %u: its id leads elsewhere", slot);
    if (at->category >= c->categories.n || !c->categories.lists[at->category].key)
        return vt_fail(err, VT_E_CORRUPT, "slot %u: its category is gone", slot);
    for (size_t i = 0; i < at->n_terms; i++)
        if (at->terms[i] >= c->terms.n || !c->terms.lists[at->terms[i]].key)
            return vt_fail(err, VT_E_CORRUPT, "slot %u: an attribute term is gone", slot);
    *listed += 1 + at->n_terms;
    return VT_OK;
}

vt_status vt_columns_check(const vt_columns *c, vt_err *err) {
    size_t listed = 0, held = 0;
    vt_status s = vt_dict_check(&c->ids, err);
    if (s == VT_OK)
        s = vt_postings_check(&c->categories, err);
    if (s == VT_OK)
        s = vt_postings_check(&c->terms, err);
    for (size_t i = 0; i < c->n && s == VT_OK; i++)
        s = check_slot(c, (uint32_t)i, &listed, err);
    if (s != VT_OK)
        return s;
    for (size_t i = 0; i < c->categories.n; i++)
        held += c->categories.lists[i].n;
    for (size_t i = 0; i < c->terms.n; i++)
        held += c->terms.lists[i].n;
    if (held != listed || c->ids.n + c->n_free != c->n)
        return vt_fail(err, VT_E_CORRUPT, "columns: %zu entries listed, %zu held", listed, held);
    return VT_OK;
}
