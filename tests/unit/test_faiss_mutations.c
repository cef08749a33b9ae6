/* 100,000 damaged index files, the same at each run: bytes flipped, fields replaced by numbers that
 * look plausible, dimension and count changed together so that their product still holds, files cut
 * short. Of the small seeds, and where VT_SHARED names the folder, of files from other people's
 * programs. Each is refused with a text, or every row of it can be read; under a sanitizer, which
 * is where this test says most, nothing beyond the file is touched. */
#include "faiss_seeds.h"

#include <dirent.h>

enum { MUTATIONS = 100000, FILES_MAX = 40, MARKS_MAX = 24, LARGEST = 4 << 20 };

typedef struct material {
    uint8_t *bytes;
    size_t size;
    size_t marks[MARKS_MAX]; /* where indexes and lists begin */
    size_t n_marks;
} material;

static uint64_t random_state = 1;

static uint64_t next_random(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

static size_t below(size_t n) {
    return (size_t)(next_random() >> 33) % n;
}

/* ---- material --------------------------------------------------------------------------- */

static void find_marks(material *m) {
    static const char *const marks[] = {"IxF", "IxM", "IHNf", "IwFl", "ilar", "full", "sprs"};
    for (size_t i = 0; i + 4 <= m->size; i++)
        for (size_t k = 0; k < sizeof marks / sizeof *marks && m->n_marks < MARKS_MAX; k++)
            if (memcmp(m->bytes + i, marks[k], strlen(marks[k])) == 0)
                m->marks[m->n_marks++] = i;
}

static bool is_index(const char *name) {
    return strstr(name, ".index") || strstr(name, ".bin");
}

static void add_folder(const char *folder, material *all, size_t *n) {
    struct dirent *entry;
    DIR *dir = opendir(folder);
    while (dir && (entry = readdir(dir)) && *n < FILES_MAX) {
        vt_buf bytes;
        vt_err err;
        char *path = vt_path_join(folder, entry->d_name);
        vt_buf_init(&bytes, LARGEST);
        if (path && is_index(path) && vt_file_read(path, &bytes, &err) == VT_OK)
            all[(*n)++] = (material){.bytes = (uint8_t *)bytes.data, .size = bytes.len};
        free(path);
    }
    if (dir)
        closedir(dir);
}

static void add_shared(material *all, size_t *n) {
    const char *shared = getenv("VT_SHARED");
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/data/faiss", shared ? shared : "");
    add_folder(folder, all, n);
    snprintf(folder, sizeof folder, "%s/data/faiss/snapmyfit", shared ? shared : "");
    add_folder(folder, all, n);
}

static size_t gather(material *all) {
    size_t n = 0;
    for (; n < N_SEEDS; n++)
        all[n].bytes = read_seed(seeds[n].name, &all[n].size);
    add_shared(all, &n);
    print_message("# %zu files\n", n);
    for (size_t i = 0; i < n; i++)
        find_marks(&all[i]);
    return n;
}

/* ---- mutations -------------------------------------------------------------------------- */

/* What was changed, to be put back: copying a file of a megabyte for each would be all the time. */
typedef struct change {
    size_t at, n;
    uint8_t was[8];
} change;

static void write_number(material *m, change *c, size_t at, uint64_t value, size_t width) {
    if (at + width > m->size)
        return;
    c->at = at;
    c->n = width;
    memcpy(c->was, m->bytes + at, width);
    memcpy(m->bytes + at, &value, width);
}

static uint64_t plausible(const material *m, uint64_t was) {
    const uint64_t choices[] = {
        0,
        1,
        was + 1,
        was - 1,
        was * 2,
        was / 2,
        was + ((uint64_t)1 << 32),
        was + ((uint64_t)1 << 62),
        m->size / 4,
        m->size / 8,
        m->size,
        INT32_MAX,
        (uint64_t)1 << 31,
        INT64_MAX,
        UINT64_MAX,
        below(m->size),
    };
    return choices[below(sizeof choices / sizeof *choices)];
}

/* Near the beginning of an index, or of lists, where the sizes are; else anywhere. */
static size_t place(const material *m) {
    size_t near = m->marks[below(m->n_marks)] + below(64);
    return near < m->size && below(4) > 0 ? near : below(m->size);
}

static void change_number(material *m, change *c) {
    size_t width = below(2) ? 8 : 4, at = place(m);
    uint64_t was = 0;
    if (at + width > m->size)
        return;
    memcpy(&was, m->bytes + at, width);
    write_number(m, c, at, plausible(m, was), width);
}

static void flip_byte(material *m, change *c) {
    size_t at = place(m);
    write_number(m, c, at, m->bytes[at] ^ (1u << below(8)), 1);
}

/* Half the dimensions and twice the vectors, in one header or in all. c: one for d and one for
 * ntotal of each. */
static void trade_dimensions(material *m, change *c) {
    bool all = below(2);
    for (size_t i = 0; i < m->n_marks; i++) {
        size_t at = m->marks[i];
        int32_t dim;
        int64_t count;
        if (m->bytes[at] != 'I' || at + 37 > m->size || !(all || below(2)))
            continue;
        memcpy(&dim, m->bytes + at + 4, sizeof dim);
        memcpy(&count, m->bytes + at + 8, sizeof count);
        write_number(m, &c[2 * i], at + 4, (uint64_t)dim / 2, sizeof dim);
        write_number(m, &c[2 * i + 1], at + 8, (uint64_t)count * 2, sizeof count);
    }
}

static void put_back(material *m, const change *c, size_t n) {
    while (n-- > 0)
        memcpy(m->bytes + c[n].at, c[n].was, c[n].n);
}

/* ---- what must hold --------------------------------------------------------------------- */

static bool open_and_read(const uint8_t *bytes, size_t size) {
    static float v[VT_FAISS_DIM_MAX];
    vt_faiss *f;
    vt_err err;
    vt_status s = vt_faiss_open_bytes(bytes, size, &f, &err);
    if (s != VT_OK) {
        assert_true(s == VT_E_PARSE || s == VT_E_UNSUPPORTED);
        assert_true(!f && *err.text);
        return false;
    }
    const vt_faiss_info *info = vt_faiss_describe(f);
    size_t step = info->count / 64 + 1; /* of a large file some rows, the last among them */
    assert_true(info->count <= size / sizeof *v / info->dim);
    for (size_t i = 0; i < info->count; i += step) {
        vt_faiss_vector(f, info->count - 1 - i, v);
        (void)vt_faiss_id(f, info->count - 1 - i);
    }
    vt_faiss_close(f);
    return true;
}

static bool run_cut(const material *m) {
    size_t n = below(4) ? below(m->size < 4096 ? m->size : 4096) : below(m->size);
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, m->bytes, n);
    bool read = open_and_read(copy, n);
    free(copy);
    return read;
}

static bool run_one(material *m) {
    change changes[2 * MARKS_MAX] = {0};
    size_t kind = below(16), several = 1 + below(3);
    bool read;
    if (kind == 0)
        trade_dimensions(m, changes);
    else if (kind < 4)
        flip_byte(m, changes);
    else
        for (size_t i = 0; i < several; i++)
            change_number(m, &changes[i]);
    read = kind == 15 ? run_cut(m) : open_and_read(m->bytes, m->size);
    put_back(m, changes, 2 * MARKS_MAX);
    return read;
}

static void no_damage_does_harm(void **state) {
    material all[FILES_MAX] = {0};
    size_t n = gather(all), read = 0;
    for (size_t i = 0; i < MUTATIONS; i++)
        read += run_one(&all[i % n]);
    print_message("# %d damaged files: %zu refused, %zu still whole\n", MUTATIONS, MUTATIONS - read,
                  read);
    assert_in_range(read, MUTATIONS / 100, MUTATIONS / 2); /* both ways are well walked */
    for (size_t i = 0; i < n; i++) {
        assert_true(open_and_read(all[i].bytes, all[i].size)); /* nothing was left behind */
        free(all[i].bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_damage_does_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
