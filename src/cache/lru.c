/* Least recently used, as memcached and Redis's ancestors have it: every entry is a member of a
 * hash chain and of one doubly linked list from newest to oldest. A find moves its entry to the
 * front, room is made at the back; all of it is constant time and allocates nothing but the entry.
 *
 * The hash is the first 8 bytes of the key, which is a SHA-256 and so spread already. The number of
 * buckets is fixed when it is opened, one for each KiB of the budget: a table that grows would stop
 * everybody for a rehash, and an answer is some KiB long, so chains stay near one entry.
 *
 * The budget counts what is asked of malloc, key, links, answer and buckets; not malloc's own
 * rounding (16 bytes or so an allocation).
 *
 * Rejected: CLOCK and segmented LRU (a better hit rate where scans wash the cache out; queries of
 * customers do not scan), expiry by a sweeping thread (an entry whose time is up is dropped when it
 * is asked for, and drifts to the back and out otherwise).
 *
 * Threading: none; cache.c holds its lock. Invariants: vt_lru_check. */
#include "cache/lru.h"

#include "cache/answer.h"

#define BYTES_A_BUCKET ((size_t)1024)
#define BUCKETS_MAX    ((size_t)1 << 20)

struct vt_lru_entry {
    vt_hash key;
    vt_answer *answer;
    uint64_t expires_ns;
    vt_lru_entry *newer, *older; /* the list */
    vt_lru_entry *next;          /* the chain */
};

vt_status vt_lru_init(vt_lru *l, size_t max_bytes, vt_err *err) {
    *l = (vt_lru){.max_bytes = max_bytes};
    if (max_bytes < sizeof *l->buckets)
        return VT_OK; /* not even one bucket: it stores nothing */
    size_t n = 1;
    while (n < BUCKETS_MAX && n <= max_bytes / BYTES_A_BUCKET / 2)
        n *= 2;
    l->buckets = vt_alloc(n, sizeof *l->buckets);
    if (!l->buckets)
        return vt_fail_nomem(err, n * sizeof *l->buckets);
    l->n_buckets = n;
    l->bytes = n * sizeof *l->buckets;
    return VT_OK;
}

/* ---- list and table --------------------------------------------------------------------- */

static vt_lru_bucket *bucket_of(const vt_lru *l, const vt_hash *key) {
    uint64_t h;
    memcpy(&h, key->bytes, sizeof h);
    return &l->buckets[h & (l->n_buckets - 1)];
}

static size_t entry_size(const vt_lru_entry *e) {
    return sizeof *e + vt_answer_size(e->answer);
}

static void list_unlink(vt_lru *l, vt_lru_entry *e) {
    if (e->newer)
        e->newer->older = e->older;
    else
        l->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        l->oldest = e->newer;
}

static void list_push(vt_lru *l, vt_lru_entry *e) {
    e->newer = NULL;
    e->older = l->newest;
    if (l->newest)
        l->newest->newer = e;
    else
        l->oldest = e;
    l->newest = e;
}

static void entry_drop(vt_lru *l, vt_lru_entry *e) {
    vt_lru_entry **at = &bucket_of(l, &e->key)->first;
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    list_unlink(l, e);
    l->entries--;
    l->bytes -= entry_size(e);
    vt_answer_release(e->answer);
    free(e);
}

static void drop_oldest(vt_lru *l) {
    vt_lru_entry *e = l->oldest;
    assert(e && !e->older && "bytes are held by entries of the list");
    entry_drop(l, e);
}

/* ---- what the cache asks ---------------------------------------------------------------- */

vt_answer *vt_lru_find(vt_lru *l, const vt_hash *key, uint64_t now_ns, bool *expired) {
    vt_lru_entry *e = NULL;
    *expired = false;
    if (l->buckets)
        e = bucket_of(l, key)->first;
    while (e && !vt_hash_equal(&e->key, key))
        e = e->next;
    if (!e)
        return NULL;
    if (e->expires_ns <= now_ns) {
        *expired = true;
        entry_drop(l, e);
        return NULL;
    }
    list_unlink(l, e);
    list_push(l, e);
    return e->answer;
}

void vt_lru_insert(vt_lru *l, const vt_hash *key, vt_answer *answer, uint64_t expires_ns) {
    size_t empty = l->n_buckets * sizeof *l->buckets;
    size_t need = sizeof(vt_lru_entry) + vt_answer_size(answer);
    if (!l->buckets || need > l->max_bytes - empty)
        return;
    vt_lru_entry *e = vt_alloc(1, sizeof *e);
    if (!e)
        return;
    while (need > l->max_bytes - l->bytes) {
        drop_oldest(l);
        l->evicted++;
    }
    vt_answer_retain(answer);
    *e = (vt_lru_entry){.key = *key, .answer = answer, .expires_ns = expires_ns};
    vt_lru_bucket *bucket = bucket_of(l, key);
    e->next = bucket->first;
    bucket->first = e;
    list_push(l, e);
    l->entries++;
    l->bytes += need;
}

void vt_lru_release(vt_lru *l) {
    while (l->oldest)
        drop_oldest(l);
    free(l->buckets);
    *l = (vt_lru){.buckets = NULL};
}

/* ---- the check -------------------------------------------------------------------------- */

/* Counts the chains, each entry in the bucket of its key, no key twice. */
static vt_status check_table(const vt_lru *l, size_t *entries, vt_err *err) {
    *entries = 0;
    for (size_t i = 0; i < l->n_buckets; i++) {
        for (const vt_lru_entry *e = l->buckets[i].first; e; e = e->next) {
            if (bucket_of(l, &e->key) != &l->buckets[i])
                return vt_fail(err, VT_E_CORRUPT, "cache: an entry is in a wrong bucket");
            for (const vt_lru_entry *o = e->next; o; o = o->next)
                if (vt_hash_equal(&o->key, &e->key))
                    return vt_fail(err, VT_E_CORRUPT, "cache: a key is stored twice");
            if (++*entries > l->entries)
                return vt_fail(err, VT_E_CORRUPT, "cache: the table holds too many entries");
        }
    }
    return VT_OK;
}

/* Walks from newest to oldest; links agree in both directions. */
static vt_status check_list(const vt_lru *l, size_t *entries, size_t *bytes, vt_err *err) {
    const vt_lru_entry *newer = NULL;
    *entries = 0;
    *bytes = l->n_buckets * sizeof *l->buckets;
    for (const vt_lru_entry *e = l->newest; e; newer = e, e = e->older) {
        if (e->newer != newer)
            return vt_fail(err, VT_E_CORRUPT, "cache: list links disagree");
        if (++*entries > l->entries)
            return vt_fail(err, VT_E_CORRUPT, "cache: the list holds too many entries");
        *bytes += entry_size(e);
    }
    if (l->oldest != newer)
        return vt_fail(err, VT_E_CORRUPT, "cache: the list does not end at its oldest entry");
    return VT_OK;
}

vt_status vt_lru_check(const vt_lru *l, vt_err *err) {
    size_t in_table, in_list, bytes;
    vt_status s = check_table(l, &in_table, err);
    if (s == VT_OK)
        s = check_list(l, &in_list, &bytes, err);
    if (s != VT_OK)
        return s;
    if (in_table != l->entries || in_list != l->entries)
        return vt_fail(err, VT_E_CORRUPT,
                       "cache: %zu entries in the table, %zu in the list, %zu counted", in_table,
                       in_list, l->entries);
    if (bytes != l->bytes || l->bytes > l->max_bytes)
        return vt_fail(err, VT_E_CORRUPT, "cache: %zu bytes counted, %zu held, %zu allowed",
                       l->bytes, bytes, l->max_bytes);
    return VT_OK;
}
