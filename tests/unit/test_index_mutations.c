/* Thousands of damaged index files, the same at each run. The checksums of a file are right in each
 * of them, so nothing but vt_index_load stands between the damage and the searches: sections with
 * bits flipped, numbers replaced by others that look plausible or are not finite, cut short, made
 * longer, gone, exchanged with each other or with those of another index. Each is refused with a
 * text, or it is an index whose searches find as many as there are, none twice and none but those
 * that were to be kept, with numbers for scores; and which goes on to live.
 *
 * The linker sends the sections through the functions below, so that no file is written and every
 * section ends where its memory does: a sanitizer sees what reads past it. */
#include "index_support.h"

#define DIM       64
#define SECTIONS  16
#define MUTATIONS 4000 /* VT_MUTATIONS says otherwise */
#define K         10

/* ---- sections in memory ----------------------------------------------------------------- */

typedef struct section {
    char name[16];
    uint8_t *bytes;
    size_t n;
} section;

typedef struct file {
    section sections[SECTIONS];
    size_t n;
} file;

static file *written; /* what a save goes to */
static file *opened;  /* what a load comes from */

vt_status __wrap_vt_snapshot_section(vt_snapshot_writer *w, const char *name, vt_err *err);
vt_status __wrap_vt_snapshot_section(vt_snapshot_writer *w, const char *name, vt_err *err) {
    size_t legal = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    assert_true(written->n < SECTIONS && legal >= 1 && legal < 16 && name[legal] == 0);
    for (size_t i = 0; i < written->n; i++) {
        assert_string_not_equal(name, written->sections[i].name);
    }
    memcpy(written->sections[written->n++].name, name, legal + 1);
    return VT_OK;
}

vt_status __wrap_vt_snapshot_add(vt_snapshot_writer *w, const void *bytes, size_t n, vt_err *err);
vt_status __wrap_vt_snapshot_add(vt_snapshot_writer *w, const void *bytes, size_t n, vt_err *err) {
    assert_true(written->n > 0);
    section *s = &written->sections[written->n - 1];
    s->bytes = realloc(s->bytes, s->n + n + 1);
    assert_non_null(s->bytes);
    if (n > 0) {
        memcpy(s->bytes + s->n, bytes, n);
    }
    s->n += n;
    return VT_OK;
}

void *__wrap_vt_snapshot_find(const vt_snapshot *s, const char *name, size_t *n);
void *__wrap_vt_snapshot_find(const vt_snapshot *s, const char *name, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < opened->n; i++) {
        if (strcmp(opened->sections[i].name, name) == 0) {
            *n = opened->sections[i].n;
            return opened->sections[i].bytes;
        }
    }
    return NULL;
}

static void file_release(file *f) {
    for (size_t i = 0; i < f->n; i++) {
        free(f->sections[i].bytes);
    }
    *f = (file){0};
}

/* n bytes at a multiple of 4096, as sections of a map are, and not one more. */
static uint8_t *page_aligned(const uint8_t *bytes, size_t n, size_t room) {
    void *copy = NULL;
    assert_int_equal(posix_memalign(&copy, 4096, room + (room == 0)), 0);
    memset(copy, 0, room);
    if (n > 0) {
        memcpy(copy, bytes, n < room ? n : room);
    }
    return copy;
}

static void file_copy(const file *from, file *to) {
    to->n = from->n;
    for (size_t i = 0; i < from->n; i++) {
        const section *s = &from->sections[i];
        to->sections[i] = (section){.bytes = page_aligned(s->bytes, s->n, s->n), .n = s->n};
        memcpy(to->sections[i].name, s->name, sizeof s->name);
    }
}

/* ---- material --------------------------------------------------------------------------- */

typedef struct seed {
    file f;
    vt_bitset live;
} seed;

enum { EMPTY, ONE, PLAIN, CELLS, LEARNT, HOLES, SEEDS };

static void change(shelf *s, const world *w) {
    for (uint32_t slot = 0; slot < s->slots; slot += 3) {
        shelf_remove(s, slot);
        if (slot % 2) {
            shelf_put_picture(s, slot + 1 < s->slots ? slot + 1 : 0, w);
        }
    }
}

static void seed_make(seed *m, int kind, const world *w) {
    static const size_t sizes[SEEDS] = {0, 1, 200, 700, 700, 900};
    vt_snapshot_writer *none = NULL;
    vt_err err;
    uint64_t state = 0;
    bool more = true;
    shelf s;
    shelf_open(&s, DIM, 1000);
    shelf_fill(&s, w, 0, sizes[kind]);
    if (kind >= CELLS) {
        make_cells(s.ix, NULL);
    }
    if (kind >= LEARNT) {
        learn(s.ix, VT_QUERY_IMAGE, NULL, 0);
    }
    if (kind >= HOLES) {
        change(&s, w);
    }
    shelf_check(&s);
    *m = (seed){.live = s.live};
    written = &m->f;
    while (more) {
        ok(vt_index_save(s.ix, none, &state, &more, &err), &err);
    }
    assert_true(m->f.n > 0);
    vt_bitset_init(&s.live);
    shelf_close(&s);
}

static void seed_release(seed *m) {
    file_release(&m->f);
    vt_bitset_release(&m->live);
}

/* ---- mutations -------------------------------------------------------------------------- */

/* Somewhere, more often where a section begins: what says how many there are is likely there. */
static size_t somewhere(const section *s, size_t width) {
    size_t room = s->n >= width ? s->n - width + 1 : 1;
    size_t at = random_below((uint32_t)(random_below(2) && room > 64 ? 64 : room));
    return random_below(4) ? at / width * width : at;
}

static uint64_t plausible(const section *s, uint64_t was) {
    const uint64_t choices[] = {
        0,
        1,
        was + 1,
        was - 1,
        was * 2,
        was / 2,
        was + ((uint64_t)1 << 32),
        was ^ ((uint64_t)1 << random_below(64)),
        s->n,
        s->n / 4,
        DIM,
        random_below(1000),
        UINT32_MAX,
        UINT32_MAX - 1,
        (uint64_t)1 << 31,
        INT64_MAX,
        UINT64_MAX,
        SIZE_MAX / DIM,
        UINT64_MAX / 96 + 1,
    };
    return choices[random_below(sizeof choices / sizeof *choices)];
}

static void replace_integer(section *s) {
    size_t width = (size_t)1 << random_below(4), at = somewhere(s, width);
    uint64_t value = 0;
    if (at + width <= s->n) {
        memcpy(&value, s->bytes + at, width);
        value = plausible(s, value);
        memcpy(s->bytes + at, &value, width);
    }
}

static void replace_float(section *s) {
    static const float odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 1, -1, 3e38f, 1e-45f, 1e6f};
    float value = odd[random_below(sizeof odd / sizeof *odd)];
    size_t at = somewhere(s, sizeof value);
    if (at + sizeof value <= s->n) {
        memcpy(s->bytes + at, &value, sizeof value);
    }
}

/* A slot that is twice there, a place that two rows have. */
static void repeat_bytes(section *s) {
    size_t width = (size_t)4 << random_below(5), from = somewhere(s, width);
    size_t to = somewhere(s, width);
    if (from + width <= s->n && to + width <= s->n) {
        memmove(s->bytes + to, s->bytes + from, width);
    }
}

static void set_bytes(section *s) {
    size_t at = somewhere(s, 4), n = 1 + random_below(300);
    n = at + n <= s->n ? n : s->n - (at < s->n ? at : s->n);
    if (n > 0) {
        memset(s->bytes + at, random_below(2) ? 0xFF : 0, n);
    }
}

static void resize(section *s) {
    const size_t sizes[] = {
        0,        s->n - 1,  s->n - 4,    s->n / 2, s->n + 1,
        s->n + 4, s->n + 64, s->n + 4096, 2 * s->n, random_below((uint32_t)s->n + 1)};
    size_t n = sizes[random_below(sizeof sizes / sizeof *sizes)];
    if (n <= 4 * s->n + 4096) { /* else below 0 */
        uint8_t *bytes = page_aligned(s->bytes, s->n, n);
        free(s->bytes);
        s->bytes = bytes;
        s->n = n;
    }
}

static void exchange(section *a, section *b) {
    section was = *a;
    a->bytes = b->bytes;
    a->n = b->n;
    b->bytes = was.bytes;
    b->n = was.n;
}

static void take_from(section *s, const file *other) {
    for (size_t i = 0; i < other->n; i++) {
        if (strcmp(other->sections[i].name, s->name) == 0) {
            free(s->bytes);
            s->n = other->sections[i].n;
            s->bytes = page_aligned(other->sections[i].bytes, s->n, s->n);
        }
    }
}

static void mutate(file *f, const seed *all) {
    section *s = &f->sections[random_below((uint32_t)f->n)];
    switch (random_below(14)) {
    case 0:
        resize(s);
        break;
    case 1:
        exchange(s, &f->sections[random_below((uint32_t)f->n)]);
        break;
    case 2:
        take_from(s, &all[random_below(SEEDS)].f);
        break;
    case 3:
        memset(s->name, 'x', 3); /* gone */
        break;
    case 4:
    case 5:
        repeat_bytes(s);
        break;
    case 6:
        set_bytes(s);
        break;
    case 7:
    case 8:
        replace_float(s);
        break;
    case 9:
        if (s->n > 0) {
            s->bytes[somewhere(s, 1)] ^= (uint8_t)(1 << random_below(8));
        }
        break;
    default:
        replace_integer(s);
    }
}

/* All that is live there, some of it, or slots that are not. */
static void choose_keep(const seed *m, vt_bitset *keep) {
    vt_err err;
    size_t n = random_below(8) ? m->live.n : m->live.n + random_below(200);
    uint32_t how = random_below(10);
    vt_bitset_init(keep);
    ok(vt_bitset_resize(keep, n, &err), &err);
    for (size_t slot = 0; slot < n; slot++) {
        bool live = vt_bitset_get(&m->live, slot);
        bool other = how == 0 ? random_below(2) : how == 1 && random_below(200) == 0;
        vt_bitset_set(keep, slot, how == 0 ? live && other : live || other);
    }
}

/* ---- what a loaded index promises --------------------------------------------------------- */

static void check_answer(const vt_index *ix, const vt_bitset *keep, const vt_index_query *q) {
    vt_hit hits[K];
    vt_plan plan;
    vt_err err;
    size_t n, matches = 0;
    for (size_t slot = 0; slot < keep->n; slot++) {
        matches += vt_bitset_get(keep, slot) && (!q->filter || vt_bitset_get(q->filter, slot));
    }
    ok(vt_index_search(ix, q, NULL, hits, &n, &plan, &err), &err);
    assert_int_equal(plan.matches, matches);
    assert_int_equal(n, K < matches ? K : matches);
    for (size_t i = 0; i < n; i++) {
        assert_true(vt_bitset_get(keep, hits[i].slot));
        assert_true(!q->filter || vt_bitset_get(q->filter, hits[i].slot));
        assert_true(isfinite(hits[i].score));
        assert_true(i == 0 || hits[i].score <= hits[i - 1].score);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(hits[i].slot, hits[j].slot);
        }
    }
}

static void check_answers(const vt_index *ix, const vt_bitset *keep, const world *w) {
    vt_bitset filter;
    vt_err err;
    float v[DIM];
    vt_bitset_init(&filter);
    ok(vt_bitset_resize(&filter, keep->n, &err), &err);
    for (size_t slot = 0; slot < keep->n; slot++) {
        vt_bitset_set(&filter, slot, random_below(3) == 0);
    }
    for (size_t i = 0; i < 2 * VT_QUERY_KINDS; i++) {
        world_picture(w, v);
        vt_index_query q = {.vector = v,
                            .k = K,
                            .kind = (vt_query_kind)(i / 2),
                            .recall = i == 0 ? 1 : 0.6f,
                            .filter = i % 2 ? &filter : NULL};
        check_answer(ix, keep, &q);
    }
    vt_bitset_release(&filter);
}

/* whole: rows have the length that they should have. */
static void check_rows(const vt_index *ix, const vt_bitset *keep, bool whole) {
    assert_int_equal(vt_index_count(ix), vt_bitset_count(keep));
    for (size_t slot = 0; slot < keep->n + 70; slot++) {
        float v[DIM];
        bool live = vt_index_get(ix, (uint32_t)slot, v);
        assert_int_equal(live, vt_bitset_get(keep, slot));
        if (live && whole) {
            float length = vt_vec_normalize(v, DIM);
            assert_true(length > 0.99f && length < 1.01f);
        }
    }
}

/* Whether rows and codes agree, which a load does not look at. */
static bool is_whole(const vt_index *ix) {
    vt_err err;
    vt_status s = vt_index_check(ix, &err);
    assert_true(s == VT_OK || s == VT_E_CORRUPT);
    return s == VT_OK;
}

/* What is put is right, whatever the file had. */
static void live_on(vt_index *ix, vt_bitset *keep, const world *w, bool rebuild) {
    bool whole = is_whole(ix);
    vt_err err;
    float v[DIM];
    for (size_t i = 0; i < 100 && keep->n > 0; i++) {
        uint32_t slot = random_below((uint32_t)keep->n);
        bool put = random_below(2);
        world_picture(w, v);
        if (put) {
            ok(vt_index_put(ix, slot, v, &err), &err);
        } else {
            vt_index_remove(ix, slot);
        }
        vt_bitset_set(keep, slot, put);
    }
    assert_true(is_whole(ix) || !whole);
    if (rebuild && vt_index_count(ix) >= 4 && whole) {
        make_cells(ix, NULL);
    }
    check_rows(ix, keep, whole);
    check_answers(ix, keep, w);
}

/* Tells whether it was loaded. */
static bool load_and_check(const seed *m, file *f, const world *w, size_t number) {
    vt_bitset keep;
    vt_index *ix;
    vt_err err;
    opened = f;
    choose_keep(m, &keep);
    err.text[0] = 0;
    vt_status s = vt_index_load(NULL, DIM, &keep, &ix, &err);
    if (s == VT_OK) {
        check_rows(ix, &keep, is_whole(ix));
        check_answers(ix, &keep, w);
        live_on(ix, &keep, w, number % 16 == 0);
        vt_index_close(ix);
    } else {
        assert_true(s == VT_E_CORRUPT || s == VT_E_NOMEM);
        assert_true(strlen(err.text) > 0);
        assert_null(ix);
    }
    vt_bitset_release(&keep);
    return s == VT_OK;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void test_as_they_are(void **unused) {
    (void)unused;
    world w;
    seed seeds[SEEDS];
    world_open(&w, DIM, 8);
    for (int i = 0; i < SEEDS; i++) {
        vt_index *ix;
        vt_err err;
        file copy = {0};
        seed_make(&seeds[i], i, &w);
        file_copy(&seeds[i].f, &copy);
        opened = &copy;
        ok(vt_index_load(NULL, DIM, &seeds[i].live, &ix, &err), &err);
        ok(vt_index_check(ix, &err), &err);
        check_rows(ix, &seeds[i].live, true);
        check_answers(ix, &seeds[i].live, &w);
        vt_index_close(ix);
        file_release(&copy);
        seed_release(&seeds[i]);
    }
    world_close(&w);
}

static void test_mutations(void **unused) {
    (void)unused;
    const char *told = getenv("VT_MUTATIONS");
    uint64_t mutations = MUTATIONS, loaded = 0;
    seed seeds[SEEDS];
    world w;
    assert_true(!told || vt_parse_u64(told, UINT32_MAX, &mutations));
    world_open(&w, DIM, 8);
    for (int i = 0; i < SEEDS; i++) {
        seed_make(&seeds[i], i, &w);
    }
    for (size_t i = 0; i < mutations; i++) {
        const seed *m =
            &seeds[random_below(8) ? CELLS + random_below(SEEDS - CELLS) : random_below(CELLS)];
        file f = {0};
        file_copy(&m->f, &f);
        for (size_t times = 1 + random_below(random_below(3) ? 1 : 4); times > 0; times--) {
            mutate(&f, seeds);
        }
        loaded += load_and_check(m, &f, &w, i);
        file_release(&f);
    }
    print_message("# %zu of %zu were loaded\n", (size_t)loaded, (size_t)mutations);
    assert_true(loaded > mutations / 100 && loaded < mutations);
    for (int i = 0; i < SEEDS; i++) {
        seed_release(&seeds[i]);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_they_are),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
