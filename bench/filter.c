/* Filters over the columns in memory, timed: what a search spends before it scans a vector.
 *
 *     bench_filter [SLOTS [FILTER...]]
 *
 * SLOTS products (1,000,000): 1,000 categories, a price or none, attributes of few values (colour,
 * in_stock), of many (brand, weight) and of one product each (stock). Prints CSV: matches,
 * microseconds of one selection (median, least, most of 21, after two to warm up), the filter. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "catalog/columns.h"

enum { RUNS = 21, WARM = 2 };

static const char *const FILTERS[] = {
    "{\"category\":\"c7\"}",
    "{\"category\":[\"c7\",\"c8\",\"c9\"]}",
    "{\"category\":\"c7\",\"attributes.in_stock\":true}",
    "{\"category\":\"c7\",\"price_min\":20,\"price_max\":60}",
    "{\"attributes.in_stock\":true}",
    "{\"attributes.in_stock\":true,\"attributes.colour\":\"k3\"}",
    "{\"price_max\":50}",
    "{\"price_min\":20,\"price_max\":60}",
    "{\"attributes.brand\":[\"b1\",\"b2\",\"b3\"]}",
    "{\"attributes.weight\":{\"min\":10,\"max\":12}}",
    "{\"category\":\"c7\",\"attributes.weight\":{\"min\":10,\"max\":60}}",
    "{\"ids\":[\"p1\",\"p500000\",\"p77\"]}",
    "{\"or\":[{\"category\":\"c7\"},{\"attributes.brand\":\"b2\"}]}",
    "{\"or\":[{\"category\":\"c7\"},{\"price_max\":2}]}",
    "{\"price_max\":50,\"or\":[{\"category\":\"c7\"},{\"attributes.brand\":\"b2\"}]}",
    "{\"not\":{\"category\":\"c7\"}}",
    "{\"category\":\"c7\",\"not\":{\"attributes.colour\":[\"k1\",\"k2\"]}}",
};

static uint64_t mix(uint64_t n) {
    n = (n ^ n >> 31) * 0x9E3779B97F4A7C15u;
    return n ^ n >> 29;
}

static vt_status put(vt_columns *c, size_t n, vt_err *err) {
    char id[32], category[32], text[200];
    uint64_t r = mix(n + 1);
    uint32_t slot;
    vt_product p = {.id = id, .category = category};
    snprintf(id, sizeof id, "p%zu", n);
    snprintf(category, sizeof category, "c%u", (unsigned)(r % 1000));
    snprintf(text, sizeof text,
             "{\"colour\":\"k%u\",\"in_stock\":%s,\"brand\":\"b%u\",\"weight\":%.2f,\"stock\":%zu}",
             (unsigned)(r >> 10 & 15), (r >> 14) % 10 ? "true" : "false",
             (unsigned)((r >> 18) % 5000), (double)((r >> 31) % 10000) / 100, n);
    p.price = r >> 60 ? (double)(mix(r) % 10000) / 100 : NAN;
    vt_status s = vt_json_parse(text, strlen(text), &p.attributes, err);
    if (s == VT_OK)
        s = vt_columns_put(c, &p, (int64_t)n, &slot, err);
    json_decref(p.attributes);
    return s;
}

static int by_time(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static vt_status time_filter(const vt_columns *c, const vt_filter *f, const char *text,
                             vt_err *err) {
    double us[RUNS];
    size_t matches = 0;
    for (int i = -WARM; i < RUNS; i++) {
        vt_bitset b;
        uint64_t start = vt_now_ns();
        vt_bitset_init(&b); /* as a search does: a set of its own each time */
        vt_status s = vt_columns_select(c, f, &b, err);
        if (i >= 0)
            us[i] = vt_seconds_since(start) * 1e6;
        matches = vt_bitset_count(&b);
        vt_bitset_release(&b);
        if (s != VT_OK)
            return s;
    }
    qsort(us, RUNS, sizeof *us, by_time);
    printf("%zu,%.1f,%.1f,%.1f,%s\n", matches, us[RUNS / 2], us[0], us[RUNS - 1], text);
    return VT_OK;
}

static vt_status run_filter(const vt_columns *c, const char *text, vt_err *err) {
    json_t *v = NULL;
    vt_filter *f = NULL;
    vt_status s = vt_json_parse(text, strlen(text), &v, err);
    if (s == VT_OK)
        s = vt_filter_from_json(v, "", &f, err);
    if (s == VT_OK)
        s = time_filter(c, f, text, err);
    json_decref(v);
    vt_filter_close(f);
    return s;
}

int main(int argc, char **argv) {
    uint64_t slots = 1000000;
    vt_columns c;
    vt_err err;
    vt_status s = VT_OK;
    if (argc > 1 && !vt_parse_u64(argv[1], 100000000, &slots)) {
        fprintf(stderr, "usage: bench_filter [SLOTS [FILTER...]]\n");
        return 2;
    }
    vt_columns_init(&c);
    for (size_t n = 0; n < slots && s == VT_OK; n++)
        s = put(&c, n, &err);
    if (s == VT_OK)
        printf("matches,us,least,most,filter\n");
    for (int i = 2; i < argc && s == VT_OK; i++)
        s = run_filter(&c, argv[i], &err);
    for (size_t i = 0; argc < 3 && i < sizeof FILTERS / sizeof FILTERS[0] && s == VT_OK; i++)
        s = run_filter(&c, FILTERS[i], &err);
    if (s != VT_OK)
        fprintf(stderr, "bench_filter: %s\n", err.text);
    vt_columns_release(&c);
    return s == VT_OK ? 0 : vt_status_exit(s);
}
