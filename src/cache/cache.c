/* The cache: an LRU of answers (lru.c) and single flight, both behind one mutex. A call finds its
 * answer, or joins the flight that computes it, or starts that flight itself; fn runs with the lock
 * open. A flight lives on the heap until the last of its passengers has read the result.
 *
 * One lock and no shards: it is held for a table look-up and two list moves, some 100 ns, which is
 * ten million answers a second, a hundred times what the HTTP server in front of it delivers.
 *
 * Nothing is ever cleared: the catalogue's generation is part of the key, so an answer of an older
 * state is not asked for again and falls out as the oldest.
 *
 * Threading: `lock` guards everything below it. fn must not ask the cache for its own key: it
 * would wait for itself. */
#include "cache/cache.h"

#include <pthread.h>

#include "cache/answer.h"
#include "cache/lru.h"

/* The largest answer: 1000 products whose every text is as long as it may be. */
#define ANSWER_MAX ((size_t)512 << 20)

typedef struct flight {
    vt_hash key;
    pthread_cond_t landed;
    unsigned aboard; /* threads that hold a pointer to it */
    bool done;
    vt_answer *answer; /* the flight's own reference; NULL when it failed */
    vt_err err;        /* of the failure */
    struct flight *next;
} flight;

struct vt_cache {
    uint64_t ttl_ns;
    uint64_t (*now_ns)(void);
    pthread_mutex_t lock;
    vt_lru lru;
    flight *flights; /* as many as threads compute at once: a list is searched fast enough */
    uint64_t hits, misses, shared, expired;
};

vt_status vt_cache_open(const vt_cache_options *o, vt_cache **out, vt_err *err) {
    *out = NULL;
    vt_cache *c = vt_alloc(1, sizeof *c);
    if (!c)
        return vt_fail_nomem(err, sizeof *c);
    vt_status s = vt_lru_init(&c->lru, o->ttl_s > 0 ? o->max_bytes : 0, err);
    if (s != VT_OK) {
        free(c);
        return s;
    }
    c->ttl_ns = o->ttl_s * UINT64_C(1000000000);
    c->now_ns = o->now_ns ? o->now_ns : vt_now_ns;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return VT_OK;
}

void vt_cache_close(vt_cache *c) {
    if (!c)
        return;
    assert(!c->flights && "nobody may be computing");
    vt_lru_release(&c->lru);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* ---- flights (the lock is held) --------------------------------------------------------- */

static flight *flight_find(const vt_cache *c, const vt_hash *key) {
    flight *f = c->flights;
    while (f && !vt_hash_equal(&f->key, key))
        f = f->next;
    return f;
}

static flight *flight_start(vt_cache *c, const vt_hash *key) {
    flight *f = vt_alloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->key = *key;
    f->aboard = 1;
    pthread_cond_init(&f->landed, NULL);
    f->next = c->flights;
    c->flights = f;
    return f;
}

static void flight_unlist(vt_cache *c, flight *f) {
    flight **at = &c->flights;
    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
}

/* Reads the result for one passenger; the last one aboard frees the flight. */
static vt_status flight_leave(flight *f, vt_answer **out, vt_err *err) {
    vt_status s = VT_OK;
    if (f->answer) {
        vt_answer_retain(f->answer);
        *out = f->answer;
    } else {
        *err = f->err;
        s = f->err.status;
    }
    if (--f->aboard == 0) {
        vt_answer_release(f->answer);
        pthread_cond_destroy(&f->landed);
        free(f);
    }
    return s;
}

static void flight_land(vt_cache *c, flight *f, uint64_t now_ns) {
    flight_unlist(c, f);
    if (f->answer)
        vt_lru_insert(&c->lru, &f->key, f->answer, now_ns + c->ttl_ns);
    f->done = true;
    pthread_cond_broadcast(&f->landed);
}

/* ---- getting ---------------------------------------------------------------------------- */

/* Without the lock. The result goes into the flight, which nobody else writes until it is done. */
static void compute(const vt_cache *c, flight *f, vt_compute_fn fn, void *ctx) {
    vt_buf text;
    vt_buf_init(&text, ANSWER_MAX);
    uint64_t began = c->now_ns();
    vt_status s = fn(ctx, &text, &f->err);
    if (s == VT_OK)
        s = vt_buf_status(&text, "the answer", &f->err);
    if (s == VT_OK) {
        f->answer = vt_answer_new(&text, c->now_ns() - began);
        if (!f->answer)
            s = vt_fail_nomem(&f->err, text.len);
    }
    f->err.status = s; /* also where fn returned a status and forgot to say why */
    vt_buf_release(&text);
}

vt_status vt_cache_get(vt_cache *c, const vt_hash *key, vt_compute_fn fn, void *ctx,
                       vt_answer **out, vt_cache_source *source, vt_err *err) {
    vt_status s = VT_OK;
    bool expired = false;
    flight *f = NULL;
    uint64_t now_ns = c->now_ns();
    *source = VT_CACHE_MISS;
    pthread_mutex_lock(&c->lock);
    *out = vt_lru_find(&c->lru, key, now_ns, &expired);
    c->expired += expired;
    if (*out) {
        vt_answer_retain(*out);
        c->hits++;
        *source = VT_CACHE_HIT;
        goto done;
    }
    f = flight_find(c, key);
    if (f) {
        f->aboard++;
        c->shared++;
        *source = VT_CACHE_SHARED;
        while (!f->done)
            pthread_cond_wait(&f->landed, &c->lock);
        s = flight_leave(f, out, err);
        goto done;
    }
    c->misses++;
    f = flight_start(c, key);
    if (!f) {
        s = vt_fail_nomem(err, sizeof *f);
        goto done;
    }
    pthread_mutex_unlock(&c->lock);
    compute(c, f, fn, ctx);
    now_ns = c->now_ns();
    pthread_mutex_lock(&c->lock);
    flight_land(c, f, now_ns);
    s = flight_leave(f, out, err);
done:
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* ---- looking around --------------------------------------------------------------------- */

void vt_cache_describe(vt_cache *c, vt_cache_stats *out) {
    pthread_mutex_lock(&c->lock);
    *out = (vt_cache_stats){
        .hits = c->hits,
        .misses = c->misses,
        .shared = c->shared,
        .evicted = c->lru.evicted,
        .expired = c->expired,
        .entries = c->lru.entries,
        .bytes = c->lru.bytes,
        .max_bytes = c->lru.max_bytes,
    };
    pthread_mutex_unlock(&c->lock);
}

vt_status vt_cache_check(vt_cache *c, vt_err *err) {
    pthread_mutex_lock(&c->lock);
    vt_status s = vt_lru_check(&c->lru, err);
    for (const flight *f = c->flights; f && s == VT_OK; f = f->next)
        if (f->aboard == 0 || f->done)
            s = vt_fail(err, VT_E_CORRUPT, "cache: a flight that is over is still listed");
    pthread_mutex_unlock(&c->lock);
    return s;
}
