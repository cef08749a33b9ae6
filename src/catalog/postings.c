/* Posting lists: sorted arrays of slots, one for each category and each attribute term.
 *
 * A list costs 4 bytes a product that has the term, whatever the number of terms; a bitset for each
 * would cost slots / 8 bytes, which 100,000 articles with a stock number each turn into 1.2 GB.
 * Compressed sets (roaring) save memory where lists are long, and long lists are few.
 * Loading adds slots in ascending order, so it appends; a slot that is used again is inserted by
 * memmove. A list whose last slot goes is given back, so attributes that change with every update
 * (a stock count) do not pile up.
 *
 * Not synchronised. */
#include "catalog/postings.h"

void vt_postings_init(vt_postings *p) {
    *p = (vt_postings){0};
    vt_dict_init(&p->dict);
}

void vt_postings_release(vt_postings *p) {
    for (size_t i = 0; i < p->n; i++)
        free(p->lists[i].slots);
    free(p->lists);
    free(p->unused);
    vt_dict_release(&p->dict);
    *p = (vt_postings){0};
}

/* First position whose slot is not below the one wanted. */
static size_t position_of(const vt_posting *l, uint32_t slot) {
    size_t low = 0, high = l->n;
    if (l->n > 0 && l->slots[l->n - 1] < slot)
        return l->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (l->slots[mid] < slot)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* A list for a new key, taken from the unused ones or from the end. */
static vt_status list_open(vt_postings *p, const char *key, size_t len, uint32_t *number,
                           vt_err *err) {
    vt_status s = VT_OK;
    const char *stored;
    bool fresh = p->n_unused == 0;
    if (fresh && p->n >= UINT32_MAX)
        return vt_fail(err, VT_E_TOO_LARGE, "too many different attribute values");
    if (fresh)
        s = vt_array_grow(&p->lists, &p->cap, p->n + 1, sizeof *p->lists, err);
    if (s == VT_OK && fresh) /* so that giving a list back never needs memory */
        s = vt_array_grow(&p->unused, &p->cap_unused, p->n + 1, sizeof *p->unused, err);
    if (s != VT_OK)
        return s;
    *number = fresh ? (uint32_t)p->n : p->unused[p->n_unused - 1];
    s = vt_dict_insert(&p->dict, key, len, *number, &stored, err);
    if (s != VT_OK)
        return s;
    if (fresh)
        p->n++;
    else
        p->n_unused--;
    p->lists[*number] = (vt_posting){.key = stored, .key_len = len};
    return VT_OK;
}

static void list_close(vt_postings *p, uint32_t number) {
    vt_posting *l = &p->lists[number];
    p->bytes -= l->cap * sizeof *l->slots;
    free(l->slots);
    vt_dict_remove(&p->dict, l->key, l->key_len);
    *l = (vt_posting){0};
    p->unused[p->n_unused++] = number;
}

vt_status vt_postings_add(vt_postings *p, const char *key, size_t len, uint32_t slot,
                          uint32_t *list, bool *added, vt_err *err) {
    const vt_dict_entry *e = vt_dict_find(&p->dict, key, len);
    vt_status s = VT_OK;
    vt_posting *l;
    size_t at, cap_before;
    if (e)
        *list = e->value;
    else
        s = list_open(p, key, len, list, err);
    if (s != VT_OK)
        return s;
    l = &p->lists[*list];
    at = position_of(l, slot);
    *added = !(at < l->n && l->slots[at] == slot);
    if (!*added)
        return VT_OK;
    cap_before = l->cap;
    s = vt_array_grow(&l->slots, &l->cap, l->n + 1, sizeof *l->slots, err);
    if (s != VT_OK) {
        if (l->n == 0)
            list_close(p, *list);
        return s;
    }
    p->bytes += (l->cap - cap_before) * sizeof *l->slots;
    memmove(l->slots + at + 1, l->slots + at, (l->n - at) * sizeof *l->slots);
    l->slots[at] = slot;
    l->n++;
    return VT_OK;
}

vt_status vt_postings_reserve(vt_postings *p, size_t n, vt_err *err) {
    vt_status s = vt_array_grow(&p->lists, &p->cap, n, sizeof *p->lists, err);
    if (s == VT_OK)
        s = vt_array_grow(&p->unused, &p->cap_unused, n, sizeof *p->unused, err);
    if (s == VT_OK)
        s = vt_dict_reserve(&p->dict, n, err);
    if (s != VT_OK)
        return s;
    if (n > 0)
        memset(p->lists, 0, n * sizeof *p->lists);
    p->n = n;
    return VT_OK;
}

vt_status vt_postings_open(vt_postings *p, uint32_t list, const char *key, size_t len, size_t room,
                           vt_err *err) {
    vt_posting *l = &p->lists[list];
    vt_status s;
    if (vt_dict_find(&p->dict, key, len))
        return vt_fail(err, VT_E_CORRUPT, "posting list %u: its key comes twice", list);
    l->slots = vt_alloc(room, sizeof *l->slots);
    if (!l->slots)
        return vt_fail_nomem(err, room * sizeof *l->slots);
    l->cap = room;
    p->bytes += room * sizeof *l->slots;
    s = vt_dict_insert(&p->dict, key, len, list, &l->key, err);
    l->key_len = len;
    return s;
}

void vt_postings_skip(vt_postings *p, uint32_t list) {
    p->unused[p->n_unused++] = list;
}

bool vt_postings_append(vt_postings *p, uint32_t list, uint32_t slot) {
    vt_posting *l = &p->lists[list];
    if (l->n > 0 && l->slots[l->n - 1] == slot)
        return false;
    assert(l->n < l->cap);
    l->slots[l->n++] = slot;
    return true;
}

void vt_postings_remove(vt_postings *p, uint32_t list, uint32_t slot) {
    vt_posting *l = &p->lists[list];
    size_t at = position_of(l, slot);
    assert(at < l->n && l->slots[at] == slot);
    memmove(l->slots + at, l->slots + at + 1, (l->n - at - 1) * sizeof *l->slots);
    if (--l->n == 0)
        list_close(p, list);
}

const vt_posting *vt_postings_find(const vt_postings *p, const char *key, size_t len,
                                   uint32_t *list) {
    const vt_dict_entry *e = vt_dict_find(&p->dict, key, len);
    if (!e)
        return NULL;
    *list = e->value;
    return &p->lists[e->value];
}

/* Bits of one word are gathered before it is written: bit by bit, a long list waits on each store
 * for the one before. */
void vt_posting_mark(const vt_posting *l, vt_bitset *b) {
    for (size_t i = 0; i < l->n;) {
        uint32_t word = l->slots[i] / 64;
        uint64_t bits = 0;
        do
            bits |= (uint64_t)1 << l->slots[i] % 64;
        while (++i < l->n && l->slots[i] / 64 == word);
        assert(l->slots[i - 1] < b->n);
        b->words[word] |= bits;
    }
}

vt_status vt_postings_check(const vt_postings *p, vt_err *err) {
    vt_status s = vt_dict_check(&p->dict, err);
    size_t unused = 0;
    for (size_t i = 0; i < p->n && s == VT_OK; i++) {
        const vt_posting *l = &p->lists[i];
        const vt_dict_entry *e = l->key ? vt_dict_find(&p->dict, l->key, l->key_len) : NULL;
        if (!l->key) {
            unused++;
            continue;
        }
        if (!e || e->value != i || l->n == 0)
            return vt_fail(err, VT_E_CORRUPT, "posting list %zu is empty or not in the table", i);
        for (size_t k = 1; k < l->n; k++)
            if (l->slots[k - 1] >= l->slots[k])
                return vt_fail(err, VT_E_CORRUPT, "posting list %zu is not ascending", i);
    }
    if (s == VT_OK && (unused != p->n_unused || p->dict.n != p->n - unused))
        s = vt_fail(err, VT_E_CORRUPT, "posting lists: %zu unused, %zu counted", unused,
                    p->n_unused);
    return s;
}
