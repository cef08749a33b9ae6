/* FAISS's files: those that FAISS wrote are read, ours are byte for byte what it writes, and each
 * field that lies is named. The linker sends the allocations of base through the wrappers below. */
#include "faiss_seeds.h"

#include <unistd.h>

/* ---- allocations that fail -------------------------------------------------------------- */

static int allocations_left = -1; /* before one fails; below 0: none fails */

static bool fails_now(void) {
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size);
void *__wrap_vt_alloc(size_t count, size_t size) {
    return fails_now() ? NULL : __real_vt_alloc(count, size);
}

vt_status __real_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err);
vt_status __wrap_vt_array_grow(void *array, size_t *cap, size_t need, size_t size, vt_err *err) {
    return fails_now() ? vt_fail_nomem(err, need)
                       : __real_vt_array_grow(array, cap, need, size, err);
}

/* ---- read ------------------------------------------------------------------------------- */

static void assert_rows(const vt_faiss *f, const seed *sd) {
    bool seen[16] = {false};
    for (size_t row = 0; row < sd->count; row++) {
        float v[4];
        int64_t id = vt_faiss_id(f, row);
        size_t i = (size_t)(sd->mapped ? (id - 1000) / 7 : id);
        vt_faiss_vector(f, row, v);
        assert_in_range(i, 0, sd->count - 1);
        assert_false(seen[i]);
        seen[i] = true;
        for (size_t j = 0; j < sd->dim; j++)
            if (v[j] != seed_value(i, j))
                fail_msg("%s: vector %zu, element %zu is %g", sd->name, i, j, (double)v[j]);
    }
}

static void every_kind_that_faiss_wrote_is_read(void **state) {
    for (const seed *sd = seeds; sd < seeds + N_SEEDS; sd++) {
        size_t size;
        uint8_t *bytes = read_seed(sd->name, &size);
        vt_faiss *f;
        vt_err err;
        if (vt_faiss_open_bytes(bytes, size, &f, &err) != VT_OK)
            fail_msg("%s: %s", sd->name, err.text);
        const vt_faiss_info *info = vt_faiss_describe(f);
        assert_string_equal(info->kind, sd->kind);
        assert_int_equal(info->mapped, sd->mapped);
        assert_int_equal(info->dim, sd->dim);
        assert_int_equal(info->count, sd->count);
        assert_int_equal(info->metric, sd->metric);
        assert_rows(f, sd);
        vt_faiss_close(f);
        free(bytes);
    }
}

/* ---- damage ----------------------------------------------------------------------------- */

static void assert_refused(const uint8_t *bytes, size_t size, const char *why) {
    uint8_t *copy = malloc(size ? size : 1); /* exactly so large: a sanitizer sees what is beyond */
    vt_faiss *f;
    vt_err err;
    vt_status s;
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    s = vt_faiss_open_bytes(copy, size, &f, &err);
    if (s != VT_E_PARSE && s != VT_E_UNSUPPORTED)
        fail_msg("status %d where \"%s\" was expected", s, why);
    assert_null(f);
    if (!strstr(err.text, why) || strchr(err.text, '\n'))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
    free(copy);
}

static void a_file_cut_anywhere_is_refused(void **state) {
    for (const seed *sd = seeds; sd < seeds + N_SEEDS; sd++) {
        size_t size;
        uint8_t *bytes = read_seed(sd->name, &size);
        for (size_t n = 0; n < size; n++)
            assert_refused(bytes, n, "");
        free(bytes);
    }
}

static void a_file_that_goes_on_is_refused(void **state) {
    for (const seed *sd = seeds; sd < seeds + N_SEEDS; sd++) {
        size_t size;
        uint8_t *bytes = read_seed(sd->name, &size), *longer = realloc(bytes, size + 1);
        assert_non_null(longer);
        longer[size] = 0;
        assert_refused(longer, size + 1, "1 bytes follow the index");
        free(longer);
    }
}

/* Where a field lies: a number of bytes from the place that was found last. */
typedef struct damage {
    const char *seed;
    size_t at, width; /* of the field, in bytes */
    int64_t value;
    const char *why;
} damage;

/* A mark has 4 bytes, a header 33: d at 4, ntotal at 8, is_trained at 32, metric_type at 33. */
enum { INNER = 37 };

static const damage flat_damages[] = {
    {"flat_l2", 0, 4, 0x51507749, "type \"IwPQ\""},
    {"flat_l2", 0, 4, 7, "type 0x00000007"},
    {"flat_l2", 4, 4, 0, "IndexFlatL2, d: 0"},
    {"flat_l2", 4, 4, -1, "IndexFlatL2, d: -1"},
    {"flat_l2", 4, 4, 1 << 30, "IndexFlatL2, d: 1073741824"},
    {"flat_l2", 4, 4, 5, "IndexFlatL2, codes: 20 floats, but ntotal 5 of 5"},
    {"flat_l2", 8, 8, -1, "IndexFlatL2, ntotal: -1"},
    {"flat_l2", 8, 8, INT64_MAX, "IndexFlatL2, codes: 20 floats"},
    {"flat_l2", 8, 8, (int64_t)1 << 62, "IndexFlatL2, codes: 20 floats"}, /* times 4 is 0 */
    {"flat_l2", 32, 1, 2, "IndexFlatL2, is_trained: 2"},
    {"flat_l2", 33, 4, 2, "IndexFlatL2, metric_type: 2"},
    {"flat_l2", 33, 4, 0, "IndexFlatL2, metric_type: 0 contradicts"},
    {"flat_ip", 33, 4, 1, "IndexFlatIP, metric_type: 1 contradicts"},
    {"flat_l2", 37, 8, 21, "IndexFlatL2, codes: 21 elements of 4 bytes, but 80 bytes are left"},
    {"flat_l2", 37, 8, ((int64_t)1 << 62) + 20, "IndexFlatL2, codes: 4611686018427387924"},
    {"flat_l2", 37, 8, -1, "IndexFlatL2, codes: 18446744073709551615"},
    {"flat_l2", 37, 8, 19, "IndexFlatL2, codes: 19 floats"},
};

static const damage map_damages[] = {
    {"idmap_flat", 4, 4, 4, "IndexIDMap, header: differs from that of the IndexFlatIP"},
    {"idmap_flat", 8, 8, 3, "IndexIDMap, header: differs"},
    {"idmap_flat", 33, 4, 1, "IndexIDMap, header: differs"},
    {"idmap_flat", INNER, 4, 0x704D7849, "type \"IxMp\""},
    {"idmap_flat", INNER + 8, 8, 5, "IndexFlatIP, codes: 12 floats, but ntotal 5"},
    {"idmap_flat", INNER + 45 + 48, 8, 3, "IndexIDMap, id_map: 3 ids for 4 vectors"},
    {"idmap_flat", INNER + 45 + 48, 8, 5, "IndexIDMap, id_map: 5 elements"},
};

/* IVF: nlist at 37, nprobe at 45, the quantiser at 53 with 3 centroids of 4 floats, which ends at
 * 146; then the direct map's type and array, at 155 the lists' mark. */
static const damage ivf_damages[] = {
    {"ivf_full", 37, 8, 4, "IndexIVFFlat, quantizer: 3 centroids of 4 dimensions for nlist 4"},
    {"ivf_full", 37, 8, -1, "nlist 18446744073709551615"},
    {"ivf_full", 53, 4, 0x51507849, "IndexIVFFlat, quantizer: \"IxPQ\""},
    {"ivf_full", 57, 4, 3, "IndexFlatL2, codes: 12 floats, but ntotal 3 of 3"},
    {"ivf_full", 146, 1, 3, "IndexIVFFlat, direct_map: 3 is no type"},
    {"ivf_full", 146, 1, 1, "IndexIVFFlat, direct_map: 0 entries for 9 vectors"},
    {"ivf_full", 147, 8, INT64_MAX, "IndexIVFFlat, direct_map: 9223372036854775807 elements"},
    {"ivf_full", 155, 4, 0x30306C69, "IndexIVFFlat, invlists: \"il00\""},
    {"ivf_full", 159, 8, 2, "IndexIVFFlat, invlists nlist: 2 lists for nlist 3"},
    {"ivf_full", 167, 8, 17, "IndexIVFFlat, code_size: 17 bytes"},
    {"ivf_full", 175, 4, 0, "IndexIVFFlat, list sizes: unknown form 0x00000000"},
    {"ivf_full", 175, 4, 0x73727073, "IndexIVFFlat, list sizes: 3 numbers for 3 lists"},
    {"ivf_full", 179, 8, 2, "IndexIVFFlat, list sizes: 2 numbers for 3 lists"},
    {"ivf_full", 187, 8, INT64_MAX, "IndexIVFFlat, list codes: 9223372036854775807 elements"},
    {"ivf_full", 187, 8, 0, "IndexIVFFlat"},
    {"ivf_full", 8, 8, 8, "IndexIVFFlat, ntotal: 8, but the lists hold 9"},
};

/* HNSW: assign_probas at 37 (24 of them), then cum_nneighbor_per_level and so on: found below. */
static size_t hnsw_field(const uint8_t *bytes, int which) {
    static const size_t sizes[] = {8, 4, 4, 8, 4}; /* of each vector's elements */
    size_t at = INNER;
    for (int i = 0; i < which; i++) {
        uint64_t n;
        memcpy(&n, bytes + at, sizeof n);
        at += 8 + n * sizes[i];
    }
    return at;
}

enum { PROBAS, CUMULATED, LEVELS, OFFSETS, NEIGHBORS, ENTRY };

static const struct {
    int field;
    size_t plus, width;
    int64_t value;
    const char *why;
} hnsw_damages[] = {
    {PROBAS, 0, 8, -1, "IndexHNSWFlat, assign_probas: 18446744073709551615 elements"},
    {CUMULATED, 8, 4, 1, "IndexHNSWFlat, cum_nneighbor_per_level: 1 at 0"},
    {CUMULATED, 12, 4, -3, "IndexHNSWFlat, cum_nneighbor_per_level: -3 at 1"},
    {LEVELS, 8, 4, 0, "IndexHNSWFlat, levels: 0 at node 0"},
    {LEVELS, 8, 4, 1 << 20, "IndexHNSWFlat, levels: 1048576 at node 0"},
    {OFFSETS, 8, 8, 1, "IndexHNSWFlat, offsets: 1 at node 0, not 0"},
    {OFFSETS, 16, 8, -8, "IndexHNSWFlat, offsets: 18446744073709551608 at node 1"},
    {NEIGHBORS, 8, 4, 12, "IndexHNSWFlat, neighbors: 12 at 0 is no node"},
    {NEIGHBORS, 8, 4, -2, "IndexHNSWFlat, neighbors: -2 at 0 is no node"},
    {NEIGHBORS, 8, 4, INT32_MIN, "IndexHNSWFlat, neighbors: -2147483648 at 0"},
    {ENTRY, 0, 4, 12, "IndexHNSWFlat, entry_point: 12 is no node"},
    {ENTRY, 0, 4, -1, "IndexHNSWFlat, entry_point: -1 is no node"},
    {ENTRY, 4, 4, 20, "IndexHNSWFlat, max_level: 20"},
    {ENTRY, 4, 4, -1, "IndexHNSWFlat, max_level: -1"},
    {ENTRY, 20, 4, 0x6C6C756E, "IndexHNSWFlat, storage: \"null\" is not an IndexFlat"},
    {ENTRY, 28, 8, 11, "IndexFlatL2, codes: 48 floats, but ntotal 11"},
    {ENTRY, 53, 4, 0, "IndexFlatL2, metric_type: 0 contradicts"},
};

static void refuse_damages(const damage *all, size_t n) {
    for (const damage *d = all; d < all + n; d++) {
        size_t size;
        uint8_t *bytes = read_seed(d->seed, &size);
        memcpy(bytes + d->at, &d->value, d->width);
        assert_refused(bytes, size, d->why);
        free(bytes);
    }
}

static void each_lying_field_of_a_flat_index_is_named(void **state) {
    refuse_damages(flat_damages, sizeof flat_damages / sizeof *flat_damages);
}

static void each_lying_field_of_an_id_map_is_named(void **state) {
    refuse_damages(map_damages, sizeof map_damages / sizeof *map_damages);
}

static void each_lying_field_of_an_ivf_is_named(void **state) {
    refuse_damages(ivf_damages, sizeof ivf_damages / sizeof *ivf_damages);
}

static void each_lying_field_of_a_graph_is_named(void **state) {
    for (size_t i = 0; i < sizeof hnsw_damages / sizeof *hnsw_damages; i++) {
        size_t size;
        uint8_t *bytes = read_seed("hnsw", &size);
        memcpy(bytes + hnsw_field(bytes, hnsw_damages[i].field) + hnsw_damages[i].plus,
               &hnsw_damages[i].value, hnsw_damages[i].width);
        assert_refused(bytes, size, hnsw_damages[i].why);
        free(bytes);
    }
}

/* An id in a list that the map around the index has no place for. */
static void an_id_beyond_the_map_is_refused(void **state) {
    size_t size;
    uint8_t *bytes = read_seed("idmap_ivf", &size);
    int64_t id = 9;
    size_t ids_of_the_last_list_end = size - (8 + 9 * 8);
    memcpy(bytes + ids_of_the_last_list_end - sizeof id, &id, sizeof id);
    assert_refused(bytes, size, "IndexIDMap, id_map: has no place for the index's id 9");
    free(bytes);
}

static void want_of_memory_is_told(void **state) {
    size_t size;
    uint8_t *bytes = read_seed("idmap_ivf", &size);
    int failed = 0;
    vt_status s = VT_E_NOMEM;
    for (; s == VT_E_NOMEM; failed++) {
        vt_faiss *f;
        vt_err err;
        allocations_left = failed;
        s = vt_faiss_open_bytes(bytes, size, &f, &err);
        assert_true(s == VT_OK || (s == VT_E_NOMEM && !f));
        vt_faiss_close(f);
    }
    allocations_left = -1;
    assert_int_equal(s, VT_OK);
    assert_true(failed > 3); /* the handle, and a block for each of three lists */
    free(bytes);
}

/* ---- write ------------------------------------------------------------------------------ */

static void assert_written_as_faiss_does(const char *name, const int64_t *ids) {
    char path[] = "/tmp/vitrine-faiss-XXXXXX";
    float vectors[4][3];
    vt_faiss_source source = {.dim = 3, .count = 4, .vectors = vectors[0], .ids = ids};
    size_t size;
    uint8_t *wanted = read_seed(name, &size);
    vt_faiss *f;
    vt_buf got;
    vt_err err;
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 3; j++)
            vectors[i][j] = seed_value(i, j);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(vt_faiss_write(path, &source, &err), VT_OK);
    vt_buf_init(&got, 1 << 20);
    assert_int_equal(vt_file_read(path, &got, &err), VT_OK);
    assert_int_equal(got.len, size);
    assert_memory_equal(got.data, wanted, size);
    assert_int_equal(vt_faiss_open(path, &f, &err), VT_OK);
    assert_int_equal(vt_faiss_id(f, 3), ids ? ids[3] : 3);
    vt_faiss_close(f);
    unlink(path);
    vt_buf_release(&got);
    free(wanted);
}

static void what_is_written_is_what_faiss_writes(void **state) {
    static const int64_t ids[] = {1000, 1007, 1014, 1021};
    assert_written_as_faiss_does("flat_ip", NULL);
    assert_written_as_faiss_does("idmap_flat", ids);
}

static void an_unreadable_path_is_told(void **state) {
    vt_faiss *f;
    vt_err err;
    vt_faiss_source source = {.dim = 3};
    assert_int_equal(vt_faiss_open("/nowhere/old.index", &f, &err), VT_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nowhere/old.index"));
    assert_int_equal(vt_faiss_open("/dev/null", &f, &err), VT_E_IO);
    assert_null(f);
    assert_int_equal(vt_faiss_write("/nowhere/new.index", &source, &err), VT_E_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_that_faiss_wrote_is_read),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(a_file_that_goes_on_is_refused),
        cmocka_unit_test(each_lying_field_of_a_flat_index_is_named),
        cmocka_unit_test(each_lying_field_of_an_id_map_is_named),
        cmocka_unit_test(each_lying_field_of_an_ivf_is_named),
        cmocka_unit_test(each_lying_field_of_a_graph_is_named),
        cmocka_unit_test(an_id_beyond_the_map_is_refused),
        cmocka_unit_test(want_of_memory_is_told),
        cmocka_unit_test(what_is_written_is_what_faiss_writes),
        cmocka_unit_test(an_unreadable_path_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
