/* metrics: what /metrics tells of HTTP, in Prometheus' text format 0.0.4.
 *
 * Per route: requests by status class, and a histogram of seconds from the request line to the end
 * of the answer. Labels come from the route table and never from the request, so a stranger cannot
 * make the number of series grow. Counters are relaxed atomics: a scrape may see a request in one
 * series and not yet in another, as Prometheus expects.
 *
 * Threading: any thread. */
#include "http/server.h"

static const double bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                0.25,  0.5,    1.0,   2.5,  5.0,   10.0};
#define N_BOUNDS (sizeof bounds / sizeof bounds[0])
#define CLASSES  5 /* 1xx..5xx; a client that went away has none */

typedef struct series {
    _Atomic uint64_t by_class[CLASSES];
    _Atomic uint64_t within[N_BOUNDS + 1]; /* not cumulative; the last: beyond all bounds */
    _Atomic uint64_t microseconds;
} series;

struct vt_metrics {
    atomic_int in_flight;
    _Atomic uint64_t aborted;
    size_t routes;
    series of[]; /* routes + 1: the last for requests that no route matched */
};

vt_status vt_metrics_open(size_t routes, vt_metrics **out, vt_err *err) {
    *out = NULL;
    size_t bytes = sizeof(vt_metrics) + (routes + 1) * sizeof(series);
    vt_metrics *m = vt_alloc(1, bytes);
    if (m == NULL)
        return vt_fail_nomem(err, bytes);
    m->routes = routes;
    *out = m;
    return VT_OK;
}

void vt_metrics_close(vt_metrics *m) {
    free(m);
}

void vt_metrics_begin(vt_metrics *m) {
    atomic_fetch_add(&m->in_flight, 1);
}

void vt_metrics_end(vt_metrics *m, size_t route, unsigned http, double seconds) {
    atomic_fetch_sub(&m->in_flight, 1);
    if (http < 100 || http >= 600) {
        atomic_fetch_add(&m->aborted, 1);
        return;
    }
    assert(route <= m->routes);
    series *s = &m->of[route];
    size_t bucket = 0;
    while (bucket < N_BOUNDS && seconds > bounds[bucket])
        bucket++;
    atomic_fetch_add(&s->by_class[http / 100 - 1], 1);
    atomic_fetch_add(&s->within[bucket], 1);
    atomic_fetch_add(&s->microseconds, (uint64_t)(seconds * 1e6));
}

static const char *route_name(const vt_metrics *m, size_t i, const char **method) {
    size_t n = 0;
    const vt_route *routes = vt_routes(&n);
    *method = i < m->routes ? routes[i].method : "";
    return i < m->routes ? routes[i].pattern : "none";
}

static void write_requests(const vt_metrics *m, vt_buf *out) {
    vt_buf_puts(out, "# HELP vitrine_http_requests_total Requests answered, by route and class of "
                     "status.\n# TYPE vitrine_http_requests_total counter\n");
    for (size_t i = 0; i <= m->routes; i++) {
        const char *method;
        const char *route = route_name(m, i, &method);
        for (unsigned class = 0; class < CLASSES; class ++) {
            uint64_t n = atomic_load(&m->of[i].by_class[class]);
            if (n > 0)
                vt_buf_printf(out,
                              "vitrine_http_requests_total{method=\"%s\",route=\"%s\","
                              "status=\"%uxx\"} %llu\n",
                              method, route, class + 1, (unsigned long long)n);
        }
    }
}

static void write_histogram(const vt_metrics *m, size_t i, vt_buf *out) {
    static const char name[] = "vitrine_http_request_seconds";
    const series *s = &m->of[i];
    const char *method;
    const char *route = route_name(m, i, &method);
    unsigned long long total = 0;
    for (size_t b = 0; b <= N_BOUNDS; b++)
        total += atomic_load(&s->within[b]);
    if (total == 0)
        return;
    unsigned long long sum = 0;
    for (size_t b = 0; b < N_BOUNDS; b++) {
        sum += atomic_load(&s->within[b]);
        vt_buf_printf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"%g\"} %llu\n", name, method,
                      route, bounds[b], sum);
    }
    vt_buf_printf(out, "%s_bucket{method=\"%s\",route=\"%s\",le=\"+Inf\"} %llu\n", name, method,
                  route, total);
    vt_buf_printf(out, "%s_sum{method=\"%s\",route=\"%s\"} %.6f\n", name, method, route,
                  (double)atomic_load(&s->microseconds) / 1e6);
    vt_buf_printf(out, "%s_count{method=\"%s\",route=\"%s\"} %llu\n", name, method, route, total);
}

void vt_metrics_write(const vt_metrics *m, vt_buf *out) {
    write_requests(m, out);
    vt_buf_puts(out, "# HELP vitrine_http_request_seconds Seconds from the request line to the end "
                     "of the answer.\n# TYPE vitrine_http_request_seconds histogram\n");
    for (size_t i = 0; i <= m->routes; i++)
        write_histogram(m, i, out);
    vt_buf_printf(out,
                  "# HELP vitrine_http_in_flight Requests begun and not yet ended.\n"
                  "# TYPE vitrine_http_in_flight gauge\nvitrine_http_in_flight %d\n",
                  atomic_load(&m->in_flight));
    vt_buf_printf(out,
                  "# HELP vitrine_http_aborted_total Requests whose client went away before the "
                  "answer.\n# TYPE vitrine_http_aborted_total counter\n"
                  "vitrine_http_aborted_total %llu\n",
                  (unsigned long long)atomic_load(&m->aborted));
}
