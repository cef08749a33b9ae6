/* bench_encode as one side of a comparison (talk.h). The peers under bench/encoder speak the same.
 *
 *   text LINE RUNS      {"ms": [...]}  one text of texts.txt, from 0
 *   images COUNT RUNS   {"ms": [...]}  the first COUNT pictures, in one call
 *   vectors FILE        {"texts": n, "images": n, "dim": n}  all of them, texts first, as binary32
 *
 * First of all it says how it opened. Inputs: a folder with texts.txt and images.f32, pictures of
 * [3][side][side] one behind the other. Works on one thread beside the pool's. */
#include "encode.h"
#include "talk.h"

#include "vec/vec.h"

enum { MOST_RUNS = 100000, MOST_INPUT = 1 << 28 };

typedef struct inputs {
    vt_buf words;
    vt_map file;
    vt_clip_text *texts;
    const float **pictures;
    size_t n_texts, n_images;
    float *out; /* for all of them */
} inputs;

static void inputs_release(inputs *in) {
    vt_buf_release(&in->words);
    vt_map_release(&in->file);
    free(in->texts);
    free(in->pictures);
    free(in->out);
}

/* Each line of `words` a text. */
static vt_status split_lines(inputs *in, vt_err *err) {
    size_t cap = 0;
    const char *at = in->words.data, *end = at + in->words.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            stop = end;
        vt_status s = vt_array_grow(&in->texts, &cap, in->n_texts + 1, sizeof *in->texts, err);
        if (s != VT_OK)
            return s;
        in->texts[in->n_texts++] = (vt_clip_text){at, (size_t)(stop - at)};
        at = stop + 1;
    }
    return VT_OK;
}

static vt_status read_texts(inputs *in, const char *path, vt_err *err) {
    vt_buf_init(&in->words, MOST_INPUT);
    vt_status s = vt_file_read(path, &in->words, err);
    return s == VT_OK ? split_lines(in, err) : s;
}

static vt_status read_images(inputs *in, const char *path, size_t pixels, vt_err *err) {
    vt_status s = vt_file_map(path, &in->file, err);
    if (s != VT_OK)
        return s;
    in->n_images = in->file.size / (pixels * sizeof(float));
    if (in->n_images * pixels * sizeof(float) != in->file.size)
        return vt_fail(err, VT_E_INVALID, "%s: not a whole number of pictures", path);
    in->pictures = vt_alloc(in->n_images, sizeof *in->pictures);
    if (!in->pictures)
        return vt_fail_nomem(err, in->n_images * sizeof *in->pictures);
    for (size_t i = 0; i < in->n_images; i++)
        in->pictures[i] = (const float *)(const void *)in->file.data + i * pixels;
    return VT_OK;
}

static vt_status inputs_read(inputs *in, const bench *b, const char *dir, vt_err *err) {
    char *texts = vt_path_join(dir, "texts.txt"), *images = vt_path_join(dir, "images.f32");
    vt_status s = texts && images ? VT_OK : vt_fail_nomem(err, strlen(dir));
    if (s == VT_OK)
        s = read_texts(in, texts, err);
    if (s == VT_OK)
        s = read_images(in, images, bench_pixels(b), err);
    free(texts);
    free(images);
    if (s == VT_OK) {
        in->out = vt_alloc((in->n_texts + in->n_images) * b->info->dim, sizeof *in->out);
        if (!in->out)
            s = vt_fail_nomem(err, in->n_texts + in->n_images);
    }
    return s;
}

static void say_numbers(const char *name, const double *values, size_t n) {
    vt_buf line;
    vt_json w;
    vt_buf_init(&line, TALK_MOST);
    vt_json_init(&w, &line);
    vt_json_open(&w, '{');
    talk_numbers(&w, name, values, n);
    vt_json_close(&w, '}');
    talk_say(&line);
}

static void say_opened(const bench *b) {
    vt_buf line;
    vt_json w;
    vt_buf_init(&line, 4096);
    vt_json_init(&w, &line);
    vt_json_open(&w, '{');
    vt_json_key(&w, "isa");
    vt_json_str(&w, vt_vec_isa());
    vt_json_key(&w, "precision");
    vt_json_str(&w, vt_precision_name(b->info->precision));
    vt_json_key(&w, "note");
    vt_json_str(&w, b->info->note);
    vt_json_key(&w, "packed_before");
    vt_json_bool(&w, b->info->from_file);
    vt_json_key(&w, "packed_bytes");
    vt_json_int(&w, (int64_t)b->info->packed_bytes);
    vt_json_key(&w, "open_ms");
    vt_json_num(&w, b->open_ms, 7);
    vt_json_key(&w, "first_ms");
    vt_json_num(&w, b->first_ms, 7);
    vt_json_close(&w, '}');
    talk_say(&line);
}

static vt_status time_and_say(const bench *b, const bench_work *w, uint64_t runs, vt_err *err) {
    double *ms = vt_alloc(runs, sizeof *ms);
    vt_status s = ms ? bench_time(b, w, runs, ms, err) : vt_fail_nomem(err, runs * sizeof *ms);
    if (s == VT_OK)
        say_numbers("ms", ms, runs);
    free(ms);
    return s;
}

static vt_status write_vectors(const bench *b, const inputs *in, const char *path, vt_err *err) {
    size_t dim = b->info->dim, n = (in->n_texts + in->n_images) * dim;
    bench_work text = {.count = 1}, image = {.count = 1};
    vt_status s = VT_OK;
    for (size_t i = 0; i < in->n_texts && s == VT_OK; i++) {
        text.texts = in->texts + i;
        text.out = in->out + i * dim;
        s = bench_encode(b, &text, err);
    }
    for (size_t i = 0; i < in->n_images && s == VT_OK; i++) {
        image.pixels = in->pictures + i;
        image.out = in->out + (in->n_texts + i) * dim;
        s = bench_encode(b, &image, err);
    }
    FILE *file = s == VT_OK ? fopen(path, "wb") : NULL;
    if (s == VT_OK && !file)
        return vt_fail(err, VT_E_IO, "%s cannot be written", path);
    if (file) {
        bool whole = fwrite(in->out, sizeof *in->out, n, file) == n;
        if (fclose(file) != 0 || !whole)
            s = vt_fail(err, VT_E_IO, "%s cannot be written", path);
    }
    if (s == VT_OK)
        say_numbers("vectors", (double[]){(double)in->n_texts, (double)in->n_images, (double)dim},
                    3);
    return s;
}

typedef struct side {
    const bench *b;
    inputs in;
} side;

static vt_status obey(void *ctx, const char *const words[TALK_WORDS], vt_err *err) {
    const side *own = ctx;
    const bench *b = own->b;
    const inputs *in = &own->in;
    uint64_t what, runs;
    if (strcmp(words[0], "vectors") == 0)
        return write_vectors(b, in, words[1], err);
    bool images = strcmp(words[0], "images") == 0;
    if ((!images && strcmp(words[0], "text") != 0) ||
        !vt_parse_u64(words[1], images ? in->n_images : in->n_texts - 1, &what) ||
        !vt_parse_u64(words[2], MOST_RUNS, &runs))
        return vt_fail(err, VT_E_INVALID, "not a command: %s %s %s", words[0], words[1], words[2]);
    bench_work w = {.count = images ? what : 1, .out = in->out};
    if (images)
        w.pixels = in->pictures;
    else
        w.texts = in->texts + what;
    return time_and_say(b, &w, runs, err);
}

vt_status bench_serve(const bench *b, const char *dir, vt_err *err) {
    side own = {.b = b};
    vt_status s = inputs_read(&own.in, b, dir, err);
    if (s == VT_OK) {
        say_opened(b);
        s = talk_listen(obey, &own, err);
    }
    inputs_release(&own.in);
    return s;
}

static vt_status say_ids(const bench *b, const vt_clip_text *text, uint32_t *ids, vt_err *err) {
    size_t n;
    vt_buf line;
    vt_json w;
    vt_status s = vt_clip_tokenize(b->clip, text->text, text->n, ids, b->info->context, &n, err);
    if (s != VT_OK)
        return s;
    vt_buf_init(&line, MOST_INPUT);
    vt_json_init(&w, &line);
    vt_json_open(&w, '[');
    for (size_t i = 0; i < n; i++)
        vt_json_int(&w, ids[i]);
    vt_json_close(&w, ']');
    talk_say(&line);
    return VT_OK;
}

vt_status bench_print_ids(const bench *b, const char *path, vt_err *err) {
    inputs in = {0};
    uint32_t *ids = vt_alloc(b->info->context, sizeof *ids);
    vt_status s = ids ? read_texts(&in, path, err) : vt_fail_nomem(err, b->info->context);
    for (size_t i = 0; i < in.n_texts && s == VT_OK; i++)
        s = say_ids(b, in.texts + i, ids, err);
    free(ids);
    inputs_release(&in);
    return s;
}
