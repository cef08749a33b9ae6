/* An answer: the bytes of a response, shared by all who read it. Its count, its head and its bytes
 * are one allocation, copied from the buffer they were written in: that buffer has doubled its way
 * up and would waste up to half of the cache's budget.
 *
 * Threading: immutable but for the count, which is atomic. A reference is only ever taken by
 * somebody who holds one (or under the cache's lock, whose list holds one), so the increment needs
 * no order; the decrement does, so that the last one frees after all others have read. */
#include "cache/answer.h"

#include <stdatomic.h>

typedef struct shared_answer {
    vt_answer answer; /* first: vt_answer pointers are pointers to this */
    atomic_size_t references;
    char bytes[];
} shared_answer;

vt_answer *vt_answer_new(const vt_buf *text, uint64_t computed_ns) {
    size_t size;
    if (!vt_size_add(text->len, sizeof(shared_answer) + 1, &size))
        return NULL;
    shared_answer *s = vt_alloc(size, 1);
    if (!s)
        return NULL;
    if (text->len > 0)
        memcpy(s->bytes, text->data, text->len);
    atomic_init(&s->references, 1);
    s->answer = (vt_answer){.data = s->bytes, .len = text->len, .computed_ns = computed_ns};
    return &s->answer;
}

size_t vt_answer_size(const vt_answer *a) {
    return sizeof(shared_answer) + a->len + 1;
}

void vt_answer_retain(vt_answer *a) {
    shared_answer *s = (shared_answer *)a;
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
}

void vt_answer_release(vt_answer *a) {
    shared_answer *s = (shared_answer *)a;
    if (s && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1)
        free(s);
}
