/* The snapshot: a file of named sections, each a run of bytes as they lie in memory, so that a
 * start maps it in place of computing them.
 *
 *     page 0      header: whose it is, of which state, the table of sections (name, bytes,
 * checksum), and in its last 8 bytes the checksum of the page page 1..    the sections in the order
 * of the table, each from the next page on; what lies between them is zero, and nothing follows the
 * last
 *
 * Where a section begins follows from the sizes before it, so there are no offsets that could
 * overlap, point outside or leave holes. Every byte is covered: a file that was cut, continued or
 * changed anywhere is refused. Magic, version and checksum of the first page stay where they are in
 * all versions.
 *
 * Checksums are XXH3 (Collet), as for packed weights (clip/packed.c says why). A section's is that
 * of the checksums of its pieces of CHUNK bytes, so that all threads verify it and the pass brings
 * the pages in; the writer makes them as bytes come.
 *
 * Nothing of the file is believed but after that, and what a section means is for those to validate
 * who read it: checksums that are right may have been made again over damage. So whoever wrote the
 * file keeps its root, the SHA-256 of the first page. The page has the checksums of all the rest (a
 * hash tree of three levels: Merkle 1987), so that no byte can change and the root stay, but for a
 * section that was made to collide in XXH3, on purpose. SHA-256 of every byte would keep that out
 * too, and take a start half a second or more a gigabyte; against somebody who can write to the
 * folder neither helps, as the products lie beside it.
 *
 * The map is private and writable: the index changes its rows in place, and the kernel copies the
 * pages that are written to. A file is never written again once it has its name, only replaced:
 * pages of a map whose file is cut short end the process (SIGBUS).
 *
 * Rejected: reading into memory (twice the memory for a moment, and a copy of a gigabyte that
 * nobody may ever look at), and SQLite blobs (pages of 8 KB with a header each cannot be mapped as
 * one array). Not synchronised. */
#include "index/index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#define PAGE    ((size_t)4096)
#define CHUNK   ((size_t)4 << 20)
#define VERSION 1
#define ORDER   0x01020304u /* reads as another number where bytes are the other way round */

static const char magic[16] = "vitrine index\n";

typedef struct section {
    char name[16];
    uint64_t bytes;
    uint64_t sum;
} section;

typedef struct header {
    char magic[16];
    uint32_t version, order;
    char database_id[40];
    uint8_t model[32];
    uint64_t seq;
    uint64_t file_bytes;
    uint64_t n_sections;
    section sections[VT_SNAPSHOT_SECTIONS];
    uint8_t zero[PAGE - 128 - VT_SNAPSHOT_SECTIONS * sizeof(section)];
    uint64_t self; /* XXH3 of everything above */
} header;
_Static_assert(sizeof(header) == PAGE, "the header is one page");

static uint64_t sum_header(const header *h) {
    return XXH3_64bits(h, offsetof(header, self));
}

static vt_hash root_of(const header *h) {
    return vt_hash_bytes(h, sizeof *h);
}

/* n up to the next page; n is at most a file's size. */
static uint64_t page_up(uint64_t n) {
    return (n + PAGE - 1) / PAGE * PAGE;
}

/* Does name hold 1..15 of the allowed characters, and only zeros behind them? */
static bool name_fits(const char name[16]) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strnlen(name, 16);
    if (n == 0 || n == 16 || strspn(name, allowed) != n)
        return false;
    for (size_t i = n; i < 16; i++)
        if (name[i])
            return false;
    return true;
}

/* ---- write ------------------------------------------------------------------------------ */

struct vt_snapshot_writer {
    char *path, *part; /* part: the name until the commit */
    int fd;
    header head;                  /* its last section is the one that is open */
    uint64_t at;                  /* bytes of the file so far, written or held */
    vt_buf held;                  /* not written yet */
    XXH3_state_t *chunk, *chunks; /* of the open section: its last chunk, and the sums of all */
    size_t in_chunk;
    bool sealed;
};

static char *part_of(const char *path) {
    size_t n = strlen(path) + sizeof ".part";
    char *name = vt_alloc(n, 1);
    if (name)
        snprintf(name, n, "%s.part", path);
    return name;
}

void vt_snapshot_sweep(const char *path) {
    char *part = part_of(path);
    if (part)
        (void)unlink(part);
    free(part);
}

static vt_status write_held(vt_snapshot_writer *w, vt_err *err) {
    const char *bytes = w->held.data;
    size_t left = w->held.len;
    while (left > 0) {
        ssize_t n = write(w->fd, bytes, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vt_fail_errno(err, errno, "cannot write %s", w->part);
        bytes += n;
        left -= (size_t)n;
    }
    return VT_OK;
}

/* The disk begins at once, or the commit's fsync would keep it busy with all of the file, and with
 * it every commit of the catalogue. */
vt_status vt_snapshot_flush(vt_snapshot_writer *w, vt_err *err) {
    vt_status s = write_held(w, err);
    if (s != VT_OK)
        return s;
    (void)sync_file_range(w->fd, (off_t)(w->at - w->held.len), (off_t)w->held.len,
                          SYNC_FILE_RANGE_WRITE);
    vt_buf_clear(&w->held);
    return VT_OK;
}

/* Appends to the file, outside the checksums. */
static vt_status hold(vt_snapshot_writer *w, const void *bytes, size_t n, vt_err *err) {
    vt_status s = VT_OK;
    while (n > 0 && s == VT_OK) {
        size_t room = VT_SNAPSHOT_HELD - w->held.len, take = n < room ? n : room;
        vt_buf_append(&w->held, bytes, take);
        s = vt_buf_status(&w->held, w->part, err);
        if (s != VT_OK)
            break;
        w->at += take;
        bytes = (const char *)bytes + take;
        n -= take;
        if (w->held.len == VT_SNAPSHOT_HELD)
            s = vt_snapshot_flush(w, err);
    }
    return s;
}

static vt_status create(vt_snapshot_writer *w, const vt_snapshot_key *key, vt_err *err) {
    const header none = {0};
    memcpy(w->head.magic, magic, sizeof magic);
    w->head.version = VERSION;
    w->head.order = ORDER;
    memcpy(w->head.database_id, key->database_id, sizeof key->database_id);
    memcpy(w->head.model, key->model.bytes, sizeof w->head.model);
    w->head.seq = key->seq;
    (void)unlink(w->part); /* of a process that was killed */
    w->fd = open(w->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (w->fd < 0)
        return vt_fail_errno(err, errno, "cannot create %s", w->part);
    return hold(w, &none, sizeof none, err); /* the page is known last */
}

vt_status vt_snapshot_begin(const char *path, const vt_snapshot_key *key, vt_snapshot_writer **out,
                            vt_err *err) {
    vt_snapshot_writer *w = vt_alloc(1, sizeof *w);
    vt_status s;
    *out = NULL;
    if (!w)
        return vt_fail_nomem(err, sizeof *w);
    w->fd = -1;
    vt_buf_init(&w->held, VT_SNAPSHOT_HELD);
    w->path = vt_strdup(path);
    w->part = part_of(path);
    w->chunk = XXH3_createState();
    w->chunks = XXH3_createState();
    s = w->path && w->part && w->chunk && w->chunks ? create(w, key, err)
                                                    : vt_fail_nomem(err, sizeof *w);
    if (s == VT_OK)
        *out = w;
    else
        vt_snapshot_close(w);
    return s;
}

void vt_snapshot_close(vt_snapshot_writer *w) {
    if (!w)
        return;
    if (w->fd >= 0) {
        close(w->fd);
        (void)unlink(w->part); /* gone where it was committed */
    }
    vt_buf_release(&w->held);
    XXH3_freeState(w->chunk);
    XXH3_freeState(w->chunks);
    free(w->path);
    free(w->part);
    free(w);
}

/* The open chunk is whole, or the section's last. */
static void end_chunk(vt_snapshot_writer *w) {
    uint64_t sum = XXH3_64bits_digest(w->chunk);
    XXH3_64bits_update(w->chunks, &sum, sizeof sum);
    XXH3_64bits_reset(w->chunk);
    w->in_chunk = 0;
}

static void end_section(vt_snapshot_writer *w) {
    if (w->head.n_sections == 0)
        return;
    if (w->in_chunk > 0)
        end_chunk(w);
    w->head.sections[w->head.n_sections - 1].sum = XXH3_64bits_digest(w->chunks);
}

vt_status vt_snapshot_section(vt_snapshot_writer *w, const char *name, vt_err *err) {
    static const char zeros[PAGE];
    section fresh = {0};
    snprintf(fresh.name, sizeof fresh.name, "%s", name);
    assert(name_fits(fresh.name) && strcmp(fresh.name, name) == 0);
    assert(w->head.n_sections < VT_SNAPSHOT_SECTIONS);
    for (size_t i = 0; i < w->head.n_sections; i++)
        assert(strcmp(w->head.sections[i].name, name) != 0);
    end_section(w);
    w->head.sections[w->head.n_sections++] = fresh;
    XXH3_64bits_reset(w->chunk);
    XXH3_64bits_reset(w->chunks);
    return hold(w, zeros, page_up(w->at) - w->at, err);
}

vt_status vt_snapshot_add(vt_snapshot_writer *w, const void *bytes, size_t n, vt_err *err) {
    const char *rest = bytes;
    assert(w->head.n_sections > 0);
    w->head.sections[w->head.n_sections - 1].bytes += n;
    for (size_t left = n, take; left > 0; left -= take, rest += take) {
        take = left < CHUNK - w->in_chunk ? left : CHUNK - w->in_chunk;
        XXH3_64bits_update(w->chunk, rest, take);
        w->in_chunk += take;
        if (w->in_chunk == CHUNK)
            end_chunk(w);
    }
    return hold(w, bytes, n, err);
}

static vt_status write_header(vt_snapshot_writer *w, vt_err *err) {
    ssize_t n;
    w->head.file_bytes = w->at;
    w->head.self = sum_header(&w->head);
    do
        n = pwrite(w->fd, &w->head, sizeof w->head, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return vt_fail_errno(err, errno, "cannot write %s", w->part);
    if ((size_t)n != sizeof w->head)
        return vt_fail(err, VT_E_IO, "cannot write %s: the header does not arrive whole", w->part);
    return VT_OK;
}

vt_status vt_snapshot_seal(vt_snapshot_writer *w, vt_hash *root, vt_err *err) {
    vt_status s;
    assert(!w->sealed);
    end_section(w);
    s = vt_snapshot_flush(w, err);
    if (s == VT_OK)
        s = write_header(w, err);
    if (s == VT_OK && fsync(w->fd) != 0)
        s = vt_fail_errno(err, errno, "cannot write %s", w->part);
    w->sealed = s == VT_OK;
    *root = root_of(&w->head);
    return s;
}

vt_status vt_snapshot_commit(vt_snapshot_writer *w, vt_err *err) {
    vt_hash root;
    vt_status s = w->sealed ? VT_OK : vt_snapshot_seal(w, &root, err);
    return s == VT_OK ? vt_file_rename(w->part, w->path, err) : s;
}

/* ---- open ------------------------------------------------------------------------------- */

struct vt_snapshot {
    vt_map map;
    const header *head;
    uint64_t at[VT_SNAPSHOT_SECTIONS]; /* where a section begins */
};

static bool has_root(const vt_snapshot_wanted *wanted, const header *h) {
    vt_hash root = root_of(h);
    for (size_t i = 0; i < wanted->n_roots; i++)
        if (vt_hash_equal(&wanted->roots[i], &root))
            return true;
    return !wanted->roots;
}

static vt_status check_header(const char *path, const vt_snapshot *s,
                              const vt_snapshot_wanted *wanted, vt_err *err) {
    const header *h = s->head;
    if (s->map.size < PAGE || memcmp(h->magic, magic, sizeof magic) != 0)
        return vt_fail(err, VT_E_CORRUPT, "%s is not a snapshot", path);
    if (h->self != sum_header(h))
        return vt_fail(err, VT_E_CORRUPT, "%s: its header is damaged", path);
    if (h->version != VERSION || h->order != ORDER)
        return vt_fail(err, VT_E_MISMATCH, "%s is of another version (%u)", path, h->version);
    if (strncmp(h->database_id, wanted->database_id, sizeof h->database_id) != 0)
        return vt_fail(err, VT_E_MISMATCH, "%s belongs to another database (%.36s)", path,
                       h->database_id);
    if (memcmp(h->model, wanted->model->bytes, sizeof h->model) != 0)
        return vt_fail(err, VT_E_MISMATCH, "%s holds vectors of another model", path);
    if (!has_root(wanted, h))
        return vt_fail(err, VT_E_MISMATCH,
                       "%s is none of the snapshots that its database knows to have written", path);
    if (h->file_bytes != s->map.size)
        return vt_fail(err, VT_E_CORRUPT, "%s has %zu bytes and says %llu", path, s->map.size,
                       (unsigned long long)h->file_bytes);
    if (h->n_sections > VT_SNAPSHOT_SECTIONS)
        return vt_fail(err, VT_E_CORRUPT, "%s: its table of sections is damaged", path);
    return VT_OK;
}

static bool zero_between(const vt_snapshot *s, uint64_t from, uint64_t to) {
    for (uint64_t i = from; i < to; i++)
        if (s->map.data[i])
            return false;
    return true;
}

/* Finds where sections begin. Comparisons only subtract: no size of the file can overflow. */
static bool place_sections(vt_snapshot *s) {
    const header *h = s->head;
    uint64_t at = PAGE;
    for (size_t i = 0; i < h->n_sections; i++) {
        uint64_t begin = page_up(at);
        if (!name_fits(h->sections[i].name) || begin > s->map.size ||
            h->sections[i].bytes > s->map.size - begin || !zero_between(s, at, begin))
            return false;
        for (size_t k = 0; k < i; k++)
            if (memcmp(h->sections[k].name, h->sections[i].name, sizeof h->sections[i].name) == 0)
                return false;
        s->at[i] = begin;
        at = begin + h->sections[i].bytes;
    }
    return at == s->map.size;
}

typedef struct verifier {
    const vt_snapshot *snapshot;
    size_t first[VT_SNAPSHOT_SECTIONS + 1]; /* chunk of each section, and the number of all */
    uint64_t *sums;
} verifier;

static void sum_range(void *ctx, size_t begin, size_t end) {
    const verifier *v = ctx;
    const vt_snapshot *s = v->snapshot;
    size_t of = 0;
    for (size_t i = begin; i < end; i++) {
        uint64_t at, left;
        while (v->first[of + 1] <= i)
            of++;
        at = (i - v->first[of]) * CHUNK;
        left = s->head->sections[of].bytes - at;
        left = left < CHUNK ? left : CHUNK;
        vt_map_populate(s->map.data + s->at[of] + at, left);
        v->sums[i] = XXH3_64bits(s->map.data + s->at[of] + at, left);
    }
}

static vt_status verify(const char *path, const vt_snapshot *s, vt_pool *pool, vt_err *err) {
    verifier v = {.snapshot = s};
    vt_status status = VT_OK;
    const size_t n = s->head->n_sections;
    for (size_t i = 0; i < n; i++)
        v.first[i + 1] = v.first[i] + (s->head->sections[i].bytes + CHUNK - 1) / CHUNK;
    v.sums = vt_alloc(v.first[n], sizeof *v.sums);
    if (!v.sums)
        return vt_fail_nomem(err, v.first[n] * sizeof *v.sums);
    vt_pool_for(pool, v.first[n], 1, sum_range, &v);
    for (size_t i = 0; i < n && status == VT_OK; i++)
        if (XXH3_64bits(v.sums + v.first[i], (v.first[i + 1] - v.first[i]) * sizeof *v.sums) !=
            s->head->sections[i].sum)
            status = vt_fail(err, VT_E_CORRUPT, "%s: the section \"%s\" is damaged", path,
                             s->head->sections[i].name);
    free(v.sums);
    return status;
}

vt_status vt_snapshot_open(const char *path, const vt_snapshot_wanted *wanted, vt_pool *pool,
                           vt_snapshot **out, uint64_t *seq, vt_err *err) {
    vt_snapshot *s = vt_alloc(1, sizeof *s);
    vt_status status;
    *out = NULL;
    *seq = 0;
    if (!s)
        return vt_fail_nomem(err, sizeof *s);
    status = vt_file_map_private(path, &s->map, err);
    s->head = (const header *)(const void *)s->map.data;
    if (status == VT_OK)
        status = check_header(path, s, wanted, err);
    if (status == VT_OK && !place_sections(s))
        status = vt_fail(err, VT_E_CORRUPT, "%s: its sections do not fill it", path);
    if (status == VT_OK)
        status = verify(path, s, pool, err);
    if (status != VT_OK) {
        vt_snapshot_release(s);
        return status;
    }
    *seq = s->head->seq;
    *out = s;
    return VT_OK;
}

vt_hash vt_snapshot_root(const vt_snapshot *s) {
    return root_of(s->head);
}

void vt_snapshot_release(vt_snapshot *s) {
    if (!s)
        return;
    vt_map_release(&s->map);
    free(s);
}

void *vt_snapshot_find(const vt_snapshot *s, const char *name, size_t *n) {
    *n = 0;
    for (size_t i = 0; i < s->head->n_sections; i++) {
        if (strcmp(s->head->sections[i].name, name) != 0)
            continue;
        *n = s->head->sections[i].bytes;
        return (void *)(uintptr_t)(s->map.data + s->at[i]);
    }
    return NULL;
}
