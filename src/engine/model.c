/* What a model is, told as JSON; and `model info`, which loads a folder without a catalogue. */
#include "engine/state.h"

#define KEEP_FROM ((size_t)32 << 20) /* bytes of panels: some 50 ms of packing */

void vt_model_write(const vt_clip_info *info, const char *name, vt_json *w) {
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"dim", info->dim},
        {"parameters", info->parameters},
        {"file_bytes", info->file_bytes},
        {"packed_bytes", info->packed_bytes},
        {"context", info->context},
        {"vocabulary", info->vocab},
        {"text_width", info->text_width},
        {"text_layers", info->text_layers},
        {"text_heads", info->text_heads},
        {"image_side", info->pixels.crop},
        {"patch", info->patch},
        {"vision_width", info->vision_width},
        {"vision_layers", info->vision_layers},
        {"vision_heads", info->vision_heads},
    };
    char hex[65];
    vt_hash_hex(&info->identity, hex);
    vt_json_key(w, "name");
    vt_json_str(w, name);
    vt_json_key(w, "identity");
    vt_json_str(w, hex);
    vt_json_key(w, "precision");
    vt_json_str(w, vt_precision_name(info->precision));
    if (*info->note) {
        vt_json_key(w, "note");
        vt_json_str(w, info->note);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        vt_json_key(w, numbers[i].key);
        vt_json_int(w, (int64_t)numbers[i].value);
    }
}

vt_status vt_model_open(const vt_engine_options *o, vt_log *log, vt_pool **pool, vt_clip **clip,
                        vt_err *err) {
    vt_clip_options options = {.keep_from = KEEP_FROM, .cache_dir = o->data_dir, .log = log};
    vt_status s = vt_vec_init(o->isa, err);
    *pool = NULL;
    *clip = NULL;
    if (s == VT_OK && o->precision)
        s = vt_precision_parse(o->precision, &options.precision, err);
    if (s == VT_OK)
        s = vt_pool_open(o->threads, pool, err);
    if (s != VT_OK)
        return s;
    options.pool = *pool;
    if (o->data_dir && !o->must_exist) /* the packed model may have to go there */
        s = vt_dir_ensure(o->data_dir, err);
    if (s != VT_OK)
        return s;
    s = vt_clip_open(o->model_dir, &options, clip, err);
    if (s == VT_E_NOT_FOUND || s == VT_E_IO)
        s = err->status = VT_E_MODEL;
    return s;
}

vt_status vt_engine_model_info(const vt_engine_options *o, vt_buf *answer, vt_err *err) {
    vt_pool *pool = NULL;
    vt_clip *clip = NULL;
    vt_json w;
    uint64_t begun = vt_now_ns();
    vt_status s = vt_model_open(o, NULL, &pool, &clip, err);
    if (s != VT_OK)
        goto done;
    vt_json_init(&w, answer);
    vt_json_open(&w, '{');
    vt_model_write(vt_clip_describe(clip), o->model_dir, &w);
    vt_json_key(&w, "isa");
    vt_json_str(&w, vt_vec_isa());
    vt_json_key(&w, "load_seconds");
    vt_json_num(&w, vt_seconds_since(begun), 4);
    vt_json_close(&w, '}');
    s = vt_buf_status(answer, "the answer", err);
done:
    vt_clip_close(clip);
    vt_pool_close(pool);
    return s;
}
