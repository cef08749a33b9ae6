/* How fast a folder of pictures is imported, beside the encoder's own limit, and what that does to
 * queries: bench_import MODEL PICTURES [COUNT [QUERIES_A_SECOND]].
 *
 * The limit is what the encoder does when it has nothing else to wait for: as many threads as the
 * import has, each encoding pictures that are preprocessed already, back to back, in batches of
 * the size that does best. It is measured before and after the imports, so that a machine that
 * changes its pace shows.
 *
 * Queries come at a steady pace, each of words nobody asked before, with both caches off; a query's
 * time runs from when it was due. First while nothing else happens, then during an import.
 *
 * VITRINE_ISA and VITRINE_PRECISION are those of the command line. A measurement, not a test: it
 * asserts nothing about time. */
#include "clip/clip.h"
#include "engine/engine.h"
#include "image/image.h"
#include "vec/vec.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

enum { PREPARED = 128, BATCH_MAX = 16, LATENCIES_MAX = 100000, LIMIT_NS = 2000000000 };

static void stop(const char *why) {
    fprintf(stderr, "bench_import: %s\n", why);
    exit(1);
}

static void check(vt_status s, const vt_err *err) {
    if (s != VT_OK)
        stop(err->text);
}

static void *some(size_t count, size_t size) {
    void *p = vt_alloc(count, size);
    if (!p)
        stop("out of memory");
    return p;
}

/* ---- the pictures -------------------------------------------------------------------- */

typedef struct pictures {
    const char *dir;
    struct dirent **files;
    size_t n;
} pictures;

static int is_picture(const struct dirent *d) {
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"};
    const char *dot = strrchr(d->d_name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    return 0;
}

static pictures list_pictures(const char *dir, size_t most) {
    pictures p = {.dir = dir};
    int n = scandir(dir, &p.files, is_picture, alphasort);
    if (n <= 0)
        stop("the folder holds no pictures");
    p.n = (size_t)n < most ? (size_t)n : most;
    return p;
}

static float *read_pixels(const pictures *p, size_t i, const vt_clip_pixels *px) {
    vt_image_spec spec = {
        .resize = px->resize, .crop = px->crop, .convert_first = px->convert_first};
    char *path = vt_path_join(p->dir, p->files[i]->d_name);
    float *out = some((size_t)3 * px->crop * px->crop, sizeof *out);
    vt_image image;
    vt_buf bytes;
    vt_err err;
    memcpy(spec.mean, px->mean, sizeof spec.mean);
    memcpy(spec.std, px->std, sizeof spec.std);
    vt_buf_init(&bytes, VT_IMAGE_MAX_BYTES);
    check(path ? vt_file_read(path, &bytes, &err) : vt_fail_nomem(&err, 1), &err);
    check(vt_image_decode((const uint8_t *)bytes.data, bytes.len, &image, &err), &err);
    check(vt_image_preprocess(&image, &spec, out, &err), &err);
    vt_image_release(&image);
    vt_buf_release(&bytes);
    free(path);
    return out;
}

/* ---- the encoder's limit ------------------------------------------------------------- */

typedef struct limit {
    vt_clip *clip;
    float *pixels[PREPARED];
    size_t prepared, batch;
    uint64_t until_ns;
    atomic_size_t encoded;
} limit;

static void *encode_batches(void *ctx) {
    limit *l = ctx;
    float *out = some(BATCH_MAX, vt_clip_describe(l->clip)->dim * sizeof *out);
    const float *batch[BATCH_MAX];
    vt_err err;
    while (vt_now_ns() < l->until_ns) {
        size_t at = atomic_fetch_add(&l->encoded, l->batch);
        for (size_t i = 0; i < l->batch; i++)
            batch[i] = l->pixels[(at + i) % l->prepared];
        check(vt_clip_encode_images(l->clip, batch, l->batch, VT_LANE_BULK, out, &err), &err);
    }
    free(out);
    return NULL;
}

static double pictures_a_second(limit *l, unsigned threads, size_t batch) {
    pthread_t *t = some(threads, sizeof *t);
    uint64_t begun = vt_now_ns();
    l->batch = batch;
    l->until_ns = begun + LIMIT_NS;
    atomic_store(&l->encoded, 0);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&t[i], NULL, encode_batches, l) != 0)
            stop("cannot start a thread");
    for (unsigned i = 0; i < threads; i++)
        pthread_join(t[i], NULL);
    free(t);
    return (double)l->encoded / vt_seconds_since(begun);
}

static double measure_limit(limit *l, unsigned threads, const char *when) {
    static const size_t batches[] = {1, 4, 8, 16};
    double best = 0;
    printf("encoder alone, %s, pictures a second:", when);
    for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
        double rate = pictures_a_second(l, threads, batches[i]);
        printf(" %.1f in batches of %zu%s", rate, batches[i], i < 3 ? "," : "\n");
        best = rate > best ? rate : best;
    }
    fflush(stdout);
    return best;
}

/* ---- the import ---------------------------------------------------------------------- */

typedef struct import_run {
    vt_engine *e;
    const pictures *p;
    const char *round; /* a part of the ids: a product that is there already would not be encoded */
    vt_import_counts counts;
    double seconds;
    atomic_bool ended;
} import_run;

static void count_line(void *ctx, const vt_import_line *l) {
    vt_import_count(ctx, l);
}

static void *run_import(void *ctx) {
    import_run *r = ctx;
    vt_import_options o = {.image_dir = r->p->dir, .fn = count_line, .ctx = &r->counts};
    uint64_t begun = vt_now_ns();
    vt_import *im;
    vt_err err;
    check(vt_import_open(r->e, &o, &im, &err), &err);
    for (size_t i = 0; i < r->p->n; i++) {
        const char *name = r->p->files[i]->d_name;
        json_t *line =
            json_pack("{s:s+, s:s, s:s}", "id", r->round, name, "name", name, "image", name);
        char *text = line ? json_dumps(line, 0) : NULL;
        check(text ? vt_import_feed(im, i + 1, text, strlen(text), &err) : vt_fail_nomem(&err, 1),
              &err);
        free(text);
        json_decref(line);
    }
    vt_import_close(im);
    r->seconds = vt_seconds_since(begun);
    atomic_store(&r->ended, true);
    return NULL;
}

static double imported_a_second(const import_run *r) {
    if (r->counts.encoded == 0)
        stop("nothing was encoded");
    if (r->counts.failed > 0)
        printf("(%llu pictures could not be read)\n", (unsigned long long)r->counts.failed);
    return (double)r->counts.encoded / r->seconds;
}

/* ---- queries ------------------------------------------------------------------------- */

typedef struct latencies {
    double *ms;
    size_t n;
} latencies;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const latencies *l, double p) {
    return l->ms[(size_t)(p * (double)(l->n - 1))];
}

/* Some 1,700 different three-word texts, in an order that repeats none before all were asked. */
static void write_words(size_t i, char out[128]) {
    static const char *const colours[] = {"red",   "blue", "green",  "black",  "white", "pink",
                                          "brown", "grey", "yellow", "orange", "navy",  "purple"};
    static const char *const stuffs[] = {"cotton", "wool",   "leather", "silk",
                                         "wooden", "steel",  "glass",   "paper",
                                         "denim",  "velvet", "linen",   "rubber"};
    static const char *const things[] = {"shirt", "dress", "lamp", "mug",   "bag",   "hat",
                                         "shoes", "coat",  "belt", "chair", "scarf", "watch"};
    snprintf(out, 128, "{\"text_query\": \"%s %s %s\"}", colours[i % 12], stuffs[i / 12 % 12],
             things[i / 144 % 12]);
}

static void search(vt_engine *e, size_t i) {
    char words[128];
    json_t *request = NULL;
    vt_buf answer;
    vt_err err;
    vt_buf_init(&answer, 1 << 20);
    write_words(i, words);
    check(vt_json_parse(words, strlen(words), &request, &err), &err);
    check(vt_engine_search(e, request, NULL, 0, &answer, &err), &err);
    json_decref(request);
    vt_buf_release(&answer);
}

static void sleep_until(uint64_t ns) {
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* For `seconds`, or until *ended where it is given. */
static latencies ask_steadily(vt_engine *e, double a_second, double seconds, atomic_bool *ended) {
    latencies l = {.ms = some(LATENCIES_MAX, sizeof *l.ms)};
    uint64_t begun = vt_now_ns(), due = begun;
    while (l.n < LATENCIES_MAX &&
           (ended ? !atomic_load(ended) : vt_seconds_since(begun) < seconds)) {
        due += (uint64_t)(1e9 / a_second);
        sleep_until(due);
        search(e, l.n);
        l.ms[l.n++] = vt_seconds_since(due) * 1e3;
    }
    qsort(l.ms, l.n, sizeof *l.ms, by_value);
    return l;
}

static void print_latencies(const char *when, const latencies *l) {
    printf("text queries, %s: p50 %.2f ms, p99 %.2f ms, most %.2f ms (%zu queries)\n", when,
           percentile(l, 0.5), percentile(l, 0.99), l->ms[l->n - 1], l->n);
    fflush(stdout);
}

static void compare_queries(vt_engine *e, const pictures *p, double a_second, double most) {
    import_run r = {.e = e, .p = p, .round = "asked-"};
    latencies idle = ask_steadily(e, a_second, 10, NULL), busy;
    pthread_t t;
    print_latencies("idle", &idle);
    if (pthread_create(&t, NULL, run_import, &r) != 0)
        stop("cannot start a thread");
    busy = ask_steadily(e, a_second, 0, &r.ended);
    pthread_join(t, NULL);
    if (busy.n == 0)
        stop("the import was over before the first query: give more pictures");
    print_latencies("during an import", &busy);
    printf("p99 during an import / idle: %.2f; the import under %.0f queries a second: %.1f "
           "pictures a second, %.0f %% of the encoder's limit\n",
           percentile(&busy, 0.99) / percentile(&idle, 0.99), a_second, imported_a_second(&r),
           100 * imported_a_second(&r) / most);
    free(idle.ms);
    free(busy.ms);
}

/* ---- the run ------------------------------------------------------------------------- */

static void prepare(limit *l, const char *model, unsigned threads, const pictures *p,
                    vt_pool **pool) {
    vt_clip_options o = {.keep_from = 1};
    const char *precision = getenv("VITRINE_PRECISION");
    vt_err err;
    if (precision)
        check(vt_precision_parse(precision, &o.precision, &err), &err);
    check(vt_pool_open(threads, pool, &err), &err);
    o.pool = *pool;
    check(vt_clip_open(model, &o, &l->clip, &err), &err);
    l->prepared = p->n < PREPARED ? p->n : PREPARED;
    uint64_t begun = vt_now_ns();
    for (size_t i = 0; i < l->prepared; i++)
        l->pixels[i] = read_pixels(p, i, &vt_clip_describe(l->clip)->pixels);
    printf("reading, decoding and preprocessing alone, on one thread: %.1f pictures a second\n",
           (double)l->prepared / vt_seconds_since(begun));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    return remove(path);
}

static void run(const char *model, const pictures *p, double a_second) {
    char dir[] = "/tmp/bench-import-XXXXXX";
    vt_engine_options o;
    import_run alone = {.p = p, .round = "alone-"};
    limit l = {0};
    vt_pool *pool;
    vt_err err;
    double before, after, rate;
    if (!mkdtemp(dir))
        stop("cannot make a folder in /tmp");
    vt_engine_defaults(&o);
    o.data_dir = dir;
    o.model_dir = model;
    o.isa = getenv("VITRINE_ISA");
    o.precision = getenv("VITRINE_PRECISION");
    o.cache_bytes = o.vector_cache_bytes = 0;
    check(vt_engine_open(&o, NULL, &alone.e, &err), &err);
    prepare(&l, model, o.threads, p, &pool);
    before = measure_limit(&l, vt_pool_threads(pool), "before");
    run_import(&alone);
    rate = imported_a_second(&alone);
    after = measure_limit(&l, vt_pool_threads(pool), "after");
    printf("import of %zu pictures: %.1f a second, %.0f %% of the encoder's limit\n", p->n, rate,
           200 * rate / (before + after));
    compare_queries(alone.e, p, a_second, (before + after) / 2);
    for (size_t i = 0; i < l.prepared; i++)
        free(l.pixels[i]);
    vt_clip_close(l.clip);
    vt_pool_close(pool);
    vt_engine_close(alone.e);
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv) {
    uint64_t count = 2000, a_second = 25;
    pictures p;
    if (argc < 3 || (argc > 3 && (!vt_parse_u64(argv[3], 1000000, &count) || count == 0)) ||
        (argc > 4 && (!vt_parse_u64(argv[4], 10000, &a_second) || a_second == 0))) {
        fprintf(stderr, "usage: bench_import MODEL PICTURES [COUNT [QUERIES_A_SECOND]]\n");
        return 2;
    }
    p = list_pictures(argv[2], count);
    run(argv[1], &p, (double)a_second);
    return 0;
}
