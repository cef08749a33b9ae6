/* Memory that runs out: the n-th allocation fails, for every n that opening a model and using it
 * reaches. The answer is E_NOMEM each time, never a crash, and under AddressSanitizer never a leak.
 * Linked with --wrap, so that the allocators named here stand before the real ones. */
#include "clip_folder.h"

#include "clip/clip.h"

#include <stdatomic.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t alignment, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t alignment, size_t n);

static atomic_long left = -1; /* allocations that still succeed; negative: all of them */
static atomic_bool failed;

static bool may_allocate(void) {
    if (atomic_load(&left) < 0 || atomic_fetch_sub(&left, 1) > 0)
        return true;
    atomic_store(&left, -1); /* one failure, and what follows it works */
    atomic_store(&failed, true);
    return false;
}

void *__wrap_malloc(size_t n) {
    return may_allocate() ? __real_malloc(n) : NULL;
}

void *__wrap_calloc(size_t count, size_t n) {
    return may_allocate() ? __real_calloc(count, n) : NULL;
}

void *__wrap_realloc(void *p, size_t n) {
    return may_allocate() ? __real_realloc(p, n) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t n) {
    return may_allocate() ? __real_aligned_alloc(alignment, n) : NULL;
}

static vt_status open_and_use(const char *dir, const vt_clip_options *o, vt_err *err) {
    static const char text[] = "Red shoes &amp; &eacute;t&eacute;";
    static float pixels[3 * MINI_IMAGE * MINI_IMAGE];
    float out[MINI_DIM];
    vt_clip *m;
    vt_status s = vt_clip_open(dir, o, &m, err);
    if (s == VT_OK)
        s = vt_clip_encode_text(m, text, sizeof text - 1, out, err);
    if (s == VT_OK)
        s = vt_clip_encode_image(m, pixels, out, err);
    vt_clip_close(m);
    return s;
}

static void fail_each(const char *dir, const vt_clip_options *o) {
    vt_err err;
    long n = 0;
    assert_int_equal(open_and_use(dir, o, &err), VT_OK);
    for (atomic_store(&failed, true); atomic_load(&failed); n++) {
        vt_status s;
        atomic_store(&failed, false);
        atomic_store(&left, n);
        s = open_and_use(dir, o, &err);
        atomic_store(&left, -1);
        if (s == VT_OK && o->keep_from > 0) /* without its file a model works as well */
            continue;
        if (s != (atomic_load(&failed) ? VT_E_NOMEM : VT_OK))
            fail_msg("allocation %ld failed: status %d, %s", n, s, s ? err.text : "");
    }
    assert_true(n > 40);
}

static void every_allocation_may_fail(void **state) {
    static const vt_clip_options options[] = {
        {.precision = VT_PRECISION_F32},
        {.precision = VT_PRECISION_INT8},
        {.precision = VT_PRECISION_INT8, .keep_from = 1},
    };
    folder f;
    folder_init(&f);
    f.tensors[0].type = VT_F16;
    folder_find(&f, "text_model.encoder.layers.0.self_attn.k_proj.weight")->type = VT_BF16;
    folder_write(&f);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++)
        fail_each(f.dir, &options[i]);
    folder_release(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    vt_err err;
    if (vt_vec_init(NULL, &err) != VT_OK)
        return 1;
    return cmocka_run_group_tests_name("clip_memory", tests, NULL, NULL);
}
