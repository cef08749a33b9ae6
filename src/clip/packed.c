/* The file of packed panels: a header of one page, the panels as they lie in memory, then a
 * checksum of every CHUNK of them. The header holds a checksum of those and one of itself, so that
 * a file cut short, or damaged anywhere, is not used. Panels begin on a page: the map is used as it
 * is.
 *
 * Checksums are XXH3 (Collet), made at the speed of memory; the same pass brings the pages in, on
 * all threads, in place of MAP_POPULATE on one. SHA-256 would double the time of a start and
 * protect against nobody: who can write here can write the model.
 *
 * A file that is mapped is never written again, only replaced: pages of a map whose file is cut
 * short end the process (SIGBUS), and catching that signal could not bring the weights back.
 *
 * Rejected: packing at every start (0.5 s of two processors for ViT-B/32); huge pages for memory
 * that is packed anew (measured: no gain, the kernels ask for weights ahead, and 0.5 s to clear
 * them). */
#include "clip/packed.h"

#include <errno.h>
#include <sys/stat.h>
#include <xxhash.h>

#define CHUNK       ((size_t)4 << 20)
#define HEADER_SIZE 4096

static const char magic[16] = "vitrine panels\n";

/* Little-endian, as the panels are. */
typedef struct header {
    char magic[16];
    uint32_t layout, precision;
    uint64_t bytes;
    uint8_t plan[32], weights[32];
    vt_packed_source source;
    double cosine;
    uint64_t sums; /* XXH3 of the chunks' checksums */
    uint64_t self; /* XXH3 of everything above */
} header;
_Static_assert(sizeof(header) <= HEADER_SIZE, "the panels begin behind the header's page");

static uint64_t nanoseconds(const struct timespec *t) {
    return (uint64_t)t->tv_sec * UINT64_C(1000000000) + (uint64_t)t->tv_nsec;
}

vt_status vt_packed_source_read(const char *path, vt_packed_source *out, vt_err *err) {
    struct stat st;
    *out = (vt_packed_source){0};
    if (stat(path, &st) != 0)
        return vt_fail_errno(err, errno, "cannot open %s", path);
    *out = (vt_packed_source){
        .inode = (uint64_t)st.st_ino,
        .bytes = (uint64_t)st.st_size,
        .mtime_ns = nanoseconds(&st.st_mtim),
        .ctime_ns = nanoseconds(&st.st_ctim),
    };
    return VT_OK;
}

vt_status vt_packed_allocate(vt_packed *p, size_t bytes, vt_err *err) {
    *p = (vt_packed){.bytes = bytes, .cosine = 1, .memory = vt_alloc_aligned(bytes, 1)};
    p->panels = p->memory;
    return p->memory ? VT_OK : vt_fail_nomem(err, bytes);
}

void vt_packed_release(vt_packed *p) {
    free(p->memory);
    vt_map_release(&p->map);
    *p = (vt_packed){0};
}

char *vt_packed_path(const char *dir, vt_precision precision) {
    char name[32];
    snprintf(name, sizeof name, "model.%s.packed", vt_precision_name(precision));
    return vt_path_join(dir, name);
}

/* ---- checksums ---------------------------------------------------------------------------- */

static size_t chunk_count(size_t bytes) {
    return (bytes + CHUNK - 1) / CHUNK;
}

typedef struct summing {
    const unsigned char *panels;
    size_t bytes;
    uint64_t *sums;
} summing;

static void sum_range(void *ctx, size_t begin, size_t end) {
    const summing *s = ctx;
    for (size_t i = begin; i < end; i++) {
        size_t at = i * CHUNK, n = s->bytes - at < CHUNK ? s->bytes - at : CHUNK;
        vt_map_populate(s->panels + at, n);
        s->sums[i] = XXH3_64bits(s->panels + at, n);
    }
}

/* Of every chunk; NULL when there is no memory. */
static uint64_t *sum_chunks(const void *panels, size_t bytes, vt_pool *pool) {
    summing s = {.panels = panels, .bytes = bytes};
    s.sums = vt_alloc(chunk_count(bytes), sizeof *s.sums);
    if (s.sums)
        vt_pool_for(pool, chunk_count(bytes), 1, sum_range, &s);
    return s.sums;
}

/* ---- the file ----------------------------------------------------------------------------- */

static header header_of(const vt_packed_key *key, size_t bytes) {
    header h = {
        .layout = VT_MAT_LAYOUT,
        .precision = (uint32_t)key->precision,
        .bytes = bytes,
        .source = key->weights,
    };
    memcpy(h.magic, magic, sizeof magic);
    memcpy(h.plan, key->plan.bytes, sizeof h.plan);
    return h;
}

static uint64_t sum_header(const header *h) {
    return XXH3_64bits(h, offsetof(header, self));
}

/* Is it of this model, whole, and undamaged as far as the header tells? Panels are all of them, or
 * none: int8 that was found wanting keeps none. */
static bool header_fits(const header *h, const vt_packed_key *key, size_t bytes, size_t file_size) {
    header wanted = header_of(key, bytes);
    const bool none = h->bytes == 0 && key->precision == VT_PRECISION_INT8;
    const size_t panels = none ? 0 : bytes;
    return h->self == sum_header(h) && h->bytes == panels &&
           memcmp(h->magic, wanted.magic, offsetof(header, bytes)) == 0 &&
           memcmp(h->plan, wanted.plan, sizeof h->plan) == 0 &&
           memcmp(&h->source, &wanted.source, sizeof h->source) == 0 &&
           file_size == HEADER_SIZE + panels + chunk_count(panels) * sizeof(uint64_t);
}

static bool panels_intact(const header *h, const unsigned char *panels, vt_pool *pool) {
    const size_t n = chunk_count(h->bytes) * sizeof(uint64_t);
    uint64_t *sums = sum_chunks(panels, h->bytes, pool);
    bool same = sums && memcmp(sums, panels + h->bytes, n) == 0 && XXH3_64bits(sums, n) == h->sums;
    free(sums);
    return same;
}

bool vt_packed_load(const char *path, const vt_packed_key *key, size_t bytes, vt_pool *pool,
                    vt_packed *out) {
    header h;
    vt_err ignored;
    *out = (vt_packed){.from_file = true};
    if (vt_file_map(path, &out->map, &ignored) != VT_OK)
        return false;
    if (out->map.size >= HEADER_SIZE) {
        memcpy(&h, out->map.data, sizeof h);
        out->bytes = h.bytes;
        out->panels = h.bytes ? out->map.data + HEADER_SIZE : NULL;
        out->cosine = h.cosine;
        memcpy(out->weights.bytes, h.weights, sizeof h.weights);
        if (header_fits(&h, key, bytes, out->map.size) &&
            panels_intact(&h, out->map.data + HEADER_SIZE, pool))
            return true;
    }
    vt_packed_release(out);
    return false;
}

vt_status vt_packed_save(const char *path, const vt_packed_key *key, const vt_packed *p,
                         vt_pool *pool, vt_err *err) {
    const size_t n = chunk_count(p->bytes) * sizeof(uint64_t);
    uint8_t page[HEADER_SIZE] = {0};
    header h = header_of(key, p->bytes);
    uint64_t *sums = sum_chunks(p->panels, p->bytes, pool);
    vt_status s;
    if (!sums)
        return vt_fail_nomem(err, n);
    memcpy(h.weights, p->weights.bytes, sizeof h.weights);
    h.cosine = p->cosine;
    h.sums = XXH3_64bits(sums, n);
    h.self = sum_header(&h);
    memcpy(page, &h, sizeof h);
    s = vt_file_replace(path, (vt_span[]){{page, sizeof page}, {p->panels, p->bytes}, {sums, n}}, 3,
                        err);
    free(sums);
    return s;
}
