/* How long a model takes to open, a text and pictures to encode: bench_encode MODEL [options].
 * One line per number of threads: medians and the spread (least to most) over the runs that follow
 * one warm-up. --serve makes it one side of bench/encoder, which measures peers in the same run.
 * A measurement, not a test: it asserts nothing about time. */
#include "encode.h"

#include <getopt.h>

#include "vec/vec.h"

typedef struct options {
    const char *model, *serve, *ids;
    uint64_t threads, runs, batch, tokens;
    vt_precision precision;
    bool json;
} options;

typedef struct timing {
    double least, median, most;
} timing;

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static timing summary(double *ms, size_t n) {
    qsort(ms, n, sizeof *ms, by_value);
    return (timing){ms[0], ms[n / 2], ms[n - 1]};
}

size_t bench_pixels(const bench *b) {
    size_t side = b->info->pixels.crop;
    return 3 * side * side;
}

vt_status bench_encode(const bench *b, const bench_work *w, vt_err *err) {
    if (w->texts)
        return vt_clip_encode_texts(b->clip, w->texts, w->count, w->out, err);
    return vt_clip_encode_images(b->clip, w->pixels, w->count, VT_LANE_QUERY, w->out, err);
}

vt_status bench_time(const bench *b, const bench_work *w, size_t runs, double *ms, vt_err *err) {
    vt_status s = bench_encode(b, w, err);
    for (size_t i = 0; i < runs && s == VT_OK; i++) {
        uint64_t begun = vt_now_ns();
        s = bench_encode(b, w, err);
        ms[i] = vt_seconds_since(begun) * 1e3;
    }
    return s;
}

/* The first call of each tower touches memory that no other has: a server answers its first query
 * only after it. */
static vt_status encode_first(bench *b, vt_err *err) {
    float *pixels = vt_alloc(bench_pixels(b), sizeof *pixels);
    float *out = vt_alloc(b->info->dim, sizeof *out);
    const float *picture = pixels;
    vt_clip_text text = {"a", 1};
    uint64_t begun = vt_now_ns();
    vt_status s = pixels && out ? VT_OK : vt_fail_nomem(err, bench_pixels(b) * sizeof *pixels);
    if (s == VT_OK)
        s = bench_encode(b, &(bench_work){.texts = &text, .count = 1, .out = out}, err);
    if (s == VT_OK)
        s = bench_encode(b, &(bench_work){.pixels = &picture, .count = 1, .out = out}, err);
    b->first_ms = vt_seconds_since(begun) * 1e3;
    free(pixels);
    free(out);
    return s;
}

static void bench_close(bench *b) {
    vt_clip_close(b->clip);
    vt_pool_close(b->pool);
}

static vt_status bench_open(const options *o, unsigned threads, bench *b, vt_err *err) {
    *b = (bench){0};
    uint64_t begun = vt_now_ns();
    vt_status s = vt_pool_open(threads, &b->pool, err);
    if (s == VT_OK) {
        vt_clip_options how = {.precision = o->precision, .pool = b->pool, .keep_from = 1};
        s = vt_clip_open(o->model, &how, &b->clip, err);
    }
    if (s == VT_OK) {
        b->open_ms = vt_seconds_since(begun) * 1e3;
        b->info = vt_clip_describe(b->clip);
        s = encode_first(b, err);
    }
    return s;
}

/* n tokens: "a a a" between start and end of text. */
static void write_text(char *text, size_t tokens) {
    for (size_t i = 0; i + 2 < tokens; i++) {
        text[2 * i] = 'a';
        text[2 * i + 1] = ' ';
    }
}

static void print_json(const bench *b, const options *o, const timing *text, const timing *image) {
    vt_buf buf;
    vt_json w;
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"open_ms", b->open_ms},
                   {"first_ms", b->first_ms},
                   {"text_ms", text->median},
                   {"text_ms_least", text->least},
                   {"text_ms_most", text->most},
                   {"images_ms", image->median},
                   {"images_ms_least", image->least},
                   {"images_ms_most", image->most},
                   {"tokens", (double)o->tokens},
                   {"batch", (double)o->batch},
                   {"threads", vt_pool_threads(b->pool)}};
    vt_buf_init(&buf, 4096);
    vt_json_init(&w, &buf);
    vt_json_open(&w, '{');
    vt_json_key(&w, "isa");
    vt_json_str(&w, vt_vec_isa());
    vt_json_key(&w, "precision");
    vt_json_str(&w, vt_precision_name(b->info->precision));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        vt_json_key(&w, numbers[i].name);
        vt_json_num(&w, numbers[i].value, 6);
    }
    vt_json_close(&w, '}');
    puts(buf.data ? buf.data : "null");
    vt_buf_release(&buf);
}

static void print_line(const bench *b, const options *o, const timing *text, const timing *image) {
    printf("%s %s, %u threads: open %.3f s, first %.1f ms; text of %zu tokens %.2f ms (%.2f-%.2f); "
           "images %zu: %.2f ms (%.2f-%.2f)\n",
           vt_vec_isa(), vt_precision_name(b->info->precision), vt_pool_threads(b->pool),
           b->open_ms / 1e3, b->first_ms, (size_t)o->tokens, text->median, text->least, text->most,
           (size_t)o->batch, image->median, image->least, image->most);
}

static vt_status measure(const bench *b, const options *o, vt_err *err) {
    size_t most = o->batch * b->info->dim;
    double *ms = vt_alloc(o->runs, sizeof *ms);
    char *text = vt_alloc(2 * o->tokens + 1, 1);
    float *pixels = vt_alloc(bench_pixels(b), sizeof *pixels), *out = vt_alloc(most, sizeof *out);
    const float **pictures = vt_alloc(o->batch, sizeof *pictures);
    vt_status s = VT_OK;
    timing texts, images;
    if (!ms || !text || !pixels || !out || !pictures) {
        s = vt_fail_nomem(err, most * sizeof *out);
        goto done;
    }
    write_text(text, o->tokens);
    for (size_t i = 0; i < o->batch; i++)
        pictures[i] = pixels;
    vt_clip_text one = {text, strlen(text)};
    s = bench_time(b, &(bench_work){.texts = &one, .count = 1, .out = out}, o->runs, ms, err);
    if (s != VT_OK)
        goto done;
    texts = summary(ms, o->runs);
    s = bench_time(b, &(bench_work){.pixels = pictures, .count = o->batch, .out = out}, o->runs, ms,
                   err);
    if (s != VT_OK)
        goto done;
    images = summary(ms, o->runs);
    (o->json ? print_json : print_line)(b, o, &texts, &images);
done:
    free(ms);
    free(text);
    free(pixels);
    free(out);
    free(pictures);
    return s;
}

static vt_status run(const options *o, unsigned threads, vt_err *err) {
    bench b;
    vt_status s = bench_open(o, threads, &b, err);
    if (s == VT_OK)
        s = o->ids     ? bench_print_ids(&b, o->ids, err)
            : o->serve ? bench_serve(&b, o->serve, err)
                       : measure(&b, o, err);
    bench_close(&b);
    return s;
}

static bool read_options(int argc, char **argv, options *o) {
    static const struct option names[] = {{"precision", required_argument, NULL, 'p'},
                                          {"threads", required_argument, NULL, 't'},
                                          {"runs", required_argument, NULL, 'r'},
                                          {"batch", required_argument, NULL, 'b'},
                                          {"tokens", required_argument, NULL, 'n'},
                                          {"serve", required_argument, NULL, 's'},
                                          {"ids", required_argument, NULL, 'i'},
                                          {"json", no_argument, NULL, 'j'},
                                          {0}};
    bool good = true;
    vt_err err;
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (c == 'p')
            good = vt_precision_parse(optarg, &o->precision, &err) == VT_OK && good;
        else if (c == 't')
            good = vt_parse_u64(optarg, 1024, &o->threads) && good;
        else if (c == 'r')
            good = vt_parse_u64(optarg, 100000, &o->runs) && o->runs > 0 && good;
        else if (c == 'b')
            good = vt_parse_u64(optarg, 1024, &o->batch) && o->batch > 0 && good;
        else if (c == 'n')
            good = vt_parse_u64(optarg, 1024, &o->tokens) && o->tokens >= 2 && good;
        else if (c == 's')
            o->serve = optarg;
        else if (c == 'i')
            o->ids = optarg;
        else if (c == 'j')
            o->json = true;
        else
            good = false;
    }
    o->model = argv[optind];
    return good && optind + 1 == argc;
}

int main(int argc, char **argv) {
    options o = {.runs = 21, .batch = 1, .tokens = 5};
    vt_err err;
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "usage: bench_encode MODEL [--precision NAME] [--threads N] [--runs N] "
                        "[--batch N] [--tokens N]"
                        " [--json] [--serve INPUTS | --ids FILE]\n");
        return 2;
    }
    vt_status s = vt_vec_init(getenv("VITRINE_ISA"), &err);
    bool both = o.threads == 0 && !o.serve && !o.ids;
    if (s == VT_OK && both)
        s = run(&o, 1, &err);
    if (s == VT_OK)
        s = run(&o, (unsigned)o.threads, &err);
    if (s != VT_OK)
        fprintf(stderr, "%s\n", err.text);
    return vt_status_exit(s);
}
