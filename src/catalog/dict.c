/* A hash table from byte strings to 32-bit numbers: product ids to slots, categories and attribute
 * terms to posting lists.
 *
 * Linear probing in a power-of-two array at most 3/4 full; removal shifts the rest of the run back
 * (Knuth, TAOCP vol. 3, 6.4, algorithm R), so there are no tombstones and a table that lives for
 * years of updates stays as short to probe as a new one. The hash is FNV-1a from a random seed with
 * a finishing mix, because linear probing uses the low bits.
 *
 * Rejected: jansson's object (a node of 50 bytes and two lists a key, values on the heap) and
 * <search.h> (one table a process, no removal).
 *
 * Not synchronised. Invariant: every key is reachable from its home place without a gap. */
#include "catalog/dict.h"

enum { FIRST_CAP = 16 };

void vt_dict_init(vt_dict *d) {
    *d = (vt_dict){0};
    vt_random_bytes(&d->seed, sizeof d->seed);
}

void vt_dict_release(vt_dict *d) {
    for (size_t i = 0; i < d->cap; i++)
        free(d->entries[i].key);
    free(d->entries);
    *d = (vt_dict){.seed = d->seed};
}

static uint64_t hash_of(const vt_dict *d, const char *key, size_t len) {
    uint64_t h = 0xCBF29CE484222325u ^ d->seed;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)key[i]) * 0x100000001B3u;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93u;
    return h ^ h >> 32;
}

/* The key's place, or the empty one where it would go. cap > 0. */
static size_t place_of(const vt_dict *d, const char *key, size_t len, uint64_t hash) {
    size_t i = hash & (d->cap - 1);
    while (d->entries[i].key) {
        const vt_dict_entry *e = &d->entries[i];
        if (e->hash == hash && e->len == len && memcmp(e->key, key, len) == 0)
            break;
        i = (i + 1) & (d->cap - 1);
    }
    return i;
}

const vt_dict_entry *vt_dict_find(const vt_dict *d, const char *key, size_t len) {
    const vt_dict_entry *e;
    if (d->n == 0)
        return NULL;
    e = &d->entries[place_of(d, key, len, hash_of(d, key, len))];
    return e->key ? e : NULL;
}

vt_status vt_dict_reserve(vt_dict *d, size_t n, vt_err *err) {
    vt_dict grown = {.seed = d->seed, .n = d->n};
    if (n <= d->cap / 4 * 3)
        return VT_OK;
    grown.cap = d->cap ? d->cap : FIRST_CAP;
    while (n > grown.cap / 4 * 3 && grown.cap <= SIZE_MAX / 2 / sizeof *grown.entries)
        grown.cap *= 2;
    grown.entries = vt_alloc(grown.cap, sizeof *grown.entries);
    if (!grown.entries)
        return vt_fail_nomem(err, grown.cap * sizeof *grown.entries);
    for (size_t i = 0; i < d->cap; i++) {
        const vt_dict_entry *e = &d->entries[i];
        if (e->key)
            grown.entries[place_of(&grown, e->key, e->len, e->hash)] = *e;
    }
    grown.bytes = d->bytes + (grown.cap - d->cap) * sizeof *grown.entries;
    free(d->entries);
    *d = grown;
    return VT_OK;
}

vt_status vt_dict_insert(vt_dict *d, const char *key, size_t len, uint32_t value,
                         const char **stored, vt_err *err) {
    uint64_t hash = hash_of(d, key, len);
    char *copy;
    vt_status s = vt_dict_reserve(d, d->n + 1, err);
    if (s != VT_OK)
        return s;
    copy = vt_strndup(key, len);
    if (!copy)
        return vt_fail_nomem(err, len);
    d->entries[place_of(d, key, len, hash)] =
        (vt_dict_entry){.key = copy, .len = len, .hash = hash, .value = value};
    d->n++;
    d->bytes += len + 1;
    if (stored)
        *stored = copy;
    return VT_OK;
}

void vt_dict_remove(vt_dict *d, const char *key, size_t len) {
    size_t mask = d->cap - 1, hole, i;
    if (d->n == 0)
        return;
    hole = place_of(d, key, len, hash_of(d, key, len));
    if (!d->entries[hole].key)
        return;
    free(d->entries[hole].key);
    d->n--;
    d->bytes -= len + 1;
    for (i = (hole + 1) & mask; d->entries[i].key; i = (i + 1) & mask) {
        size_t from_home = (i - d->entries[i].hash) & mask, from_hole = (i - hole) & mask;
        if (from_home < from_hole)
            continue; /* its home lies behind the hole: moving it there would hide it */
        d->entries[hole] = d->entries[i];
        hole = i;
    }
    d->entries[hole] = (vt_dict_entry){0};
}

vt_status vt_dict_check(const vt_dict *d, vt_err *err) {
    size_t n = 0;
    for (size_t i = 0; i < d->cap; i++) {
        const vt_dict_entry *e = &d->entries[i];
        if (!e->key)
            continue;
        n++;
        if (e->hash != hash_of(d, e->key, e->len) || vt_dict_find(d, e->key, e->len) != e)
            return vt_fail(err, VT_E_CORRUPT, "table: a key at place %zu cannot be found", i);
    }
    if (n != d->n || d->n > d->cap / 4 * 3)
        return vt_fail(err, VT_E_CORRUPT, "table: it holds %zu keys and counts %zu", n, d->n);
    return VT_OK;
}
