/* The one place where the rooms are put together, and the start-up log: one line a stage with its
 * counts, sizes and seconds, as the shop's operators watch for. Everything loads here, nothing
 * lazily: the first query is as fast as the next. */
#include "engine/audit.h"
#include "engine/bulk.h"
#include "engine/garden.h"
#include "engine/texts.h"

void vt_engine_defaults(vt_engine_options *o) {
    *o = (vt_engine_options){
        .cache_bytes = 64u << 20, .cache_ttl_s = 3600, .vector_cache_bytes = 16u << 20};
}

static vt_status open_model(vt_engine *e, const vt_engine_options *o, vt_err *err) {
    uint64_t begun = vt_now_ns();
    char read[16], packed[16];
    const vt_clip_info *info;
    vt_status s = vt_model_open(o, e->log, &e->pool, &e->clip, err);
    if (s != VT_OK)
        return s;
    info = vt_clip_describe(e->clip);
    e->spec = (vt_image_spec){
        .resize = info->pixels.resize,
        .crop = info->pixels.crop,
        .convert_first = info->pixels.convert_first,
    };
    memcpy(e->spec.mean, info->pixels.mean, sizeof e->spec.mean);
    memcpy(e->spec.std, info->pixels.std, sizeof e->spec.std);
    vt_log_stage(e->log, "model", vt_seconds_since(begun),
                 "%s: %.1f M parameters, %s, %s %s as %s, %zu dimensions, %s, %u threads",
                 o->model_dir, (double)info->parameters / 1e6,
                 vt_human_bytes(info->file_bytes, read), vt_human_bytes(info->packed_bytes, packed),
                 info->from_file ? "mapped" : "packed", vt_precision_name(info->precision),
                 info->dim, vt_vec_isa(), vt_pool_threads(e->pool));
    if (*info->note)
        vt_log_say(e->log, VT_LOG_WARN, "model", "%s", info->note);
    return VT_OK;
}

static void tell_opening(void *ctx, bool problem, const char *line) {
    vt_log_say(ctx, problem ? VT_LOG_WARN : VT_LOG_INFO, "catalogue", "%s", line);
}

static void tell_catalogue(vt_engine *e, const char *dir) {
    vt_catalog_stats stats;
    char bytes[16], cells[40] = "", source[80] = "";
    vt_catalog_describe(e->catalog, &stats);
    vt_log_stage(e->log, "catalogue", stats.load_seconds, "%s: %zu products in %zu categories, %s",
                 dir, stats.products, stats.categories,
                 vt_human_bytes(stats.database_bytes, bytes));
    if (stats.cells > 0)
        snprintf(cells, sizeof cells, " in %zu cells", stats.cells);
    if (stats.from_snapshot)
        snprintf(source, sizeof source, ", from a snapshot and %zu changes since", stats.replayed);
    vt_log_stage(e->log, "index", stats.index_seconds, "%zu vectors%s, %s in memory%s",
                 stats.products, cells, vt_human_bytes(stats.memory_bytes, bytes), source);
}

static vt_status open_catalogue(vt_engine *e, const vt_engine_options *o, vt_err *err) {
    const vt_clip_info *info = vt_clip_describe(e->clip);
    vt_catalog_options options = {
        .dir = o->data_dir,
        .must_exist = o->must_exist,
        .dim = info->dim,
        .model = info->identity,
        .model_name = o->model_dir,
        .pool = e->pool,
        .say = tell_opening,
        .say_ctx = e->log,
    };
    vt_status s = vt_catalog_open(&options, &e->catalog, err);
    if (s == VT_OK)
        tell_catalogue(e, o->data_dir);
    return s;
}

/* Of the searches of one kind, twenty a second are enough for the audit. */
#define AUDIT_SPACING_NS 50000000ULL

static vt_status open_upkeep(vt_engine *e, vt_err *err) {
    vt_status s = vt_audit_open(vt_clip_describe(e->clip)->dim, AUDIT_SPACING_NS, &e->audit, err);
    return s == VT_OK ? vt_garden_open(e, &e->garden, err) : s;
}

/* One inference of each tower, so that no page of weights is touched first by a customer. */
static vt_status warm_up(vt_engine *e, vt_err *err) {
    const vt_clip_info *info = vt_clip_describe(e->clip);
    size_t side = info->pixels.crop;
    uint64_t begun = vt_now_ns();
    float *pixels = vt_alloc(3 * side * side, sizeof *pixels);
    float *vector = vt_alloc(info->dim, sizeof *vector);
    vt_status s = VT_OK;
    if (!pixels || !vector)
        s = vt_fail_nomem(err, 3 * side * side * sizeof *pixels);
    if (s == VT_OK)
        s = vt_clip_encode_text(e->clip, "red shirt", 9, vector, err);
    if (s == VT_OK)
        s = vt_clip_encode_image(e->clip, pixels, vector, err);
    free(pixels);
    free(vector);
    if (s == VT_OK)
        vt_log_stage(e->log, "warm-up", vt_seconds_since(begun), "one text, one image");
    return s;
}

static vt_status open_caches(vt_engine *e, const vt_engine_options *o, vt_err *err) {
    vt_cache_options answers = {.max_bytes = o->cache_bytes, .ttl_s = o->cache_ttl_s};
    vt_cache_options vectors = {.max_bytes = o->vector_cache_bytes, .ttl_s = VT_CACHE_FOREVER};
    vt_status s = vt_cache_open(&answers, &e->cache, err);
    return s == VT_OK ? vt_cache_open(&vectors, &e->vectors, err) : s;
}

static vt_status open_rest(vt_engine *e, const vt_engine_options *o, vt_err *err) {
    vt_net_options net;
    vt_status s;
    vt_net_defaults(&net);
    net.allow = o->fetch_allow;
    net.max_bytes = VT_IMAGE_MAX_BYTES;
    if (sem_init(&e->decoders, 0, vt_pool_threads(e->pool)) != 0)
        return vt_fail(err, VT_E_INTERNAL, "cannot make a semaphore");
    e->decoders_ready = true;
    s = open_caches(e, o, err);
    if (s == VT_OK)
        s = vt_texts_open(vt_encode_texts, e, vt_clip_describe(e->clip)->dim, &e->texts, err);
    if (s == VT_OK)
        s = vt_categories_open(&e->categories, err);
    return s == VT_OK ? vt_net_open(&net, &e->net, err) : s;
}

vt_status vt_engine_open(const vt_engine_options *o, vt_log *log, vt_engine **out, vt_err *err) {
    vt_engine *e = vt_alloc(1, sizeof *e);
    vt_status s;
    *out = NULL;
    if (!e)
        return vt_fail_nomem(err, sizeof *e);
    e->log = log;
    e->opened_ns = vt_now_ns();
    e->model_name = vt_strdup(o->model_dir);
    s = e->model_name ? open_model(e, o, err) : vt_fail_nomem(err, strlen(o->model_dir));
    if (s == VT_OK)
        s = open_rest(e, o, err);
    if (s == VT_OK && o->data_dir)
        s = open_catalogue(e, o, err);
    if (s == VT_OK && e->catalog)
        s = vt_bulk_open(e, vt_pool_threads(e->pool), &e->bulk, err);
    if (s == VT_OK && e->catalog)
        s = open_upkeep(e, err);
    if (s == VT_OK)
        s = warm_up(e, err);
    if (s == VT_OK && e->catalog && o->upkeep)
        s = vt_garden_start(e->garden, err);
    if (s != VT_OK) {
        vt_engine_close(e);
        return s;
    }
    *out = e;
    return VT_OK;
}

void vt_engine_close(vt_engine *e) {
    if (!e)
        return;
    vt_garden_close(e->garden);
    vt_audit_close(e->audit);
    vt_bulk_close(e->bulk);
    vt_categories_close(e->categories);
    vt_catalog_close(e->catalog);
    vt_net_close(e->net);
    vt_texts_close(e->texts);
    vt_cache_close(e->vectors);
    vt_cache_close(e->cache);
    vt_clip_close(e->clip);
    vt_pool_close(e->pool);
    if (e->decoders_ready)
        sem_destroy(&e->decoders);
    free(e->model_name);
    free(e);
}
