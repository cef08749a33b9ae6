/* The words of a category as a vector. A model of captions knows sentences better than single
 * words, so a name is put into several and their unit vectors are averaged (Radford et al.
 * 2021, 3.1.4, prompt ensembling). English and French alike, because a shop names its categories in
 * either and the other language's frames do not harm. */
#include "engine/state.h"

#include "engine/texts.h"

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

/* The frames around the words, one after the other in out; texts[i] points into it. */
static vt_status write_frames(const char *words, vt_buf *out, vt_clip_text texts[N_FRAMES],
                              vt_err *err) {
    size_t begin[N_FRAMES + 1];
    vt_status s;
    for (size_t i = 0; i < N_FRAMES; i++) {
        begin[i] = out->len;
        vt_buf_printf(out, "%s%s%s", frames[i][0], words, frames[i][1]);
    }
    begin[N_FRAMES] = out->len;
    s = vt_buf_status(out, "a prompt", err);
    for (size_t i = 0; i < N_FRAMES && s == VT_OK; i++)
        texts[i] = (vt_clip_text){out->data + begin[i], begin[i + 1] - begin[i]};
    return s;
}

static vt_status mean_of_frames(vt_engine *e, const char *words, float *out, vt_err *err) {
    size_t dim = vt_clip_describe(e->clip)->dim;
    float *each = vt_alloc(N_FRAMES, dim * sizeof *each);
    vt_clip_text texts[N_FRAMES];
    vt_buf text;
    vt_status s;
    if (!each)
        return vt_fail_nomem(err, N_FRAMES * dim * sizeof *each);
    vt_buf_init(&text, VT_TEXT_QUERY_MAX * 2 * N_FRAMES);
    s = write_frames(words, &text, texts, err);
    if (s == VT_OK)
        s = vt_texts_encode(e->texts, texts, N_FRAMES, each, err);
    memset(out, 0, dim * sizeof *out);
    for (size_t i = 0; i < N_FRAMES * dim && s == VT_OK; i++)
        out[i % dim] += each[i];
    if (s == VT_OK && vt_vec_normalize(out, dim) == 0)
        s = vt_fail(err, VT_E_INTERNAL, "the words of a category have no finite vector");
    vt_buf_release(&text);
    free(each);
    return s;
}

vt_status vt_prompt_vector(vt_engine *e, const char *name, float *out, vt_err *err) {
    vt_buf words;
    vt_status s;
    vt_buf_init(&words, VT_TEXT_QUERY_MAX);
    write_words(name, &words);
    s = vt_buf_status(&words, "a category", err);
    if (s == VT_OK) /* a name of separators alone has no words */
        s = mean_of_frames(e, words.len > 0 ? words.data : name, out, err);
    vt_buf_release(&words);
    return s;
}
