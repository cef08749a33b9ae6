/* A free-list of equal blocks. Allocating at each call would return megabytes to the kernel and
 * fault them in again; thread-local blocks would stay with threads that never encode again. */
#include "clip/scratch.h"

void vt_scratch_init(vt_scratch *s, size_t floats) {
    *s = (vt_scratch){.floats = floats};
    pthread_mutex_init(&s->lock, NULL);
}

void vt_scratch_release(vt_scratch *s) {
    while (s->n_kept > 0)
        free(s->kept[--s->n_kept]);
    pthread_mutex_destroy(&s->lock);
}

float *vt_scratch_take(vt_scratch *s, vt_err *err) {
    float *block = NULL;
    pthread_mutex_lock(&s->lock);
    if (s->n_kept > 0)
        block = s->kept[--s->n_kept];
    pthread_mutex_unlock(&s->lock);
    if (!block)
        block = vt_alloc_aligned(s->floats, sizeof *block);
    if (!block)
        (void)vt_fail_nomem(err, s->floats * sizeof *block);
    return block;
}

void vt_scratch_give(vt_scratch *s, float *block) {
    pthread_mutex_lock(&s->lock);
    if (block && s->n_kept < VT_SCRATCH_KEPT) {
        s->kept[s->n_kept++] = block;
        block = NULL;
    }
    pthread_mutex_unlock(&s->lock);
    free(block);
}
