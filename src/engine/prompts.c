/* The words of a category as a vector. A model of captions knows sentences better than single
 * words, so a name is put into several and their unit vectors are averaged (Radford et al.
 * 2021, 3.1.4, prompt ensembling). English and French alike, because a shop names its categories in
 * either and the other language's frames do not harm. */
#include "engine/state.h"

static const char *const frames[][2] = {
    {"a photo of ", ""},   {"a picture of ", ", a product in a shop"},   {"", ""},
    {"une photo de ", ""}, {"une image de ", ", un article de magasin"},
};

enum { N_FRAMES = sizeof frames / sizeof frames[0] };

/* "living-room_lamps" -> "living room lamps", "t-shirts" -> "t-shirts": a hyphen behind a single
 * letter belongs to the word. */
static void write_words(const char *name, vt_buf *out) {
    size_t word = 0; /* bytes since the last space */
    for (const char *c = name; *c; c++) {
        bool gap = strchr(" \t\r\n_/>", *c) || (*c == '-' && word != 1);
        if (!gap || word > 0)
            vt_buf_append(out, gap ? " " : c, 1);
        word = gap ? 0 : word + 1;
    }
}

static vt_status add_frame(vt_engine *e, const char *const frame[2], const char *words, float *one,
                           float *sum, vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    uint64_t begun = vt_now_ns();
    vt_buf text;
    vt_status s;
    vt_buf_init(&text, VT_TEXT_QUERY_MAX * 2);
    vt_buf_printf(&text, "%s%s%s", frame[0], words, frame[1]);
    s = vt_buf_status(&text, "a prompt", err);
    if (s == VT_OK)
        s = vt_clip_encode_text(e->clip, text.data, text.len, one, err);
    for (size_t d = 0; d < dim && s == VT_OK; d++)
        sum[d] += one[d];
    atomic_fetch_add(&e->counters.texts_encoded, 1);
    atomic_fetch_add(&e->counters.text_ns, vt_now_ns() - begun);
    vt_buf_release(&text);
    return s;
}

vt_status vt_prompt_vector(vt_engine *e, const char *name, float *out, vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    float *one = vt_alloc(dim, sizeof *one);
    vt_buf words;
    vt_status s;
    if (!one)
        return vt_fail_nomem(err, dim * sizeof *one);
    vt_buf_init(&words, VT_TEXT_QUERY_MAX);
    write_words(name, &words);
    s = vt_buf_status(&words, "a category", err);
    memset(out, 0, dim * sizeof *out);
    for (size_t i = 0; i < N_FRAMES && s == VT_OK;
         i++) /* a name of separators alone has no words */
        s = add_frame(e, frames[i], words.len > 0 ? words.data : name, one, out, err);
    if (s == VT_OK && vt_vec_normalize(out, dim) == 0)
        s = vt_fail(err, VT_E_INTERNAL, "the words of a category have no finite vector");
    vt_buf_release(&words);
    free(one);
    return s;
}
