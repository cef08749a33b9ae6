/* vitrine serve: binds first, so that a taken port is told at once and /readyz can say "starting",
 * then loads, then answers until SIGTERM or SIGINT; then finishes what it accepted. */
#include "cli/command.h"
#include "http/http.h"

#include <signal.h>

enum { GRACE_SECONDS = 8 }; /* a container is killed 10 s after it is asked to stop */

static vt_status http_options(const vt_options *o, vt_http_options *out, vt_err *err) {
    uint64_t port, workers;
    vt_status s = vt_options_number(o, OPT_PORT, 65535, &port, err);
    if (s == VT_OK)
        s = vt_options_number(o, OPT_WORKERS, 256, &workers, err);
    if (s == VT_OK)
        *out = (vt_http_options){
            .bind = o->value[OPT_BIND], .port = (uint16_t)port, .workers = (unsigned)workers};
    return s;
}

/* Blocked in every thread, so that only sigwait takes them. */
static void block_signals(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static vt_status serve(vt_options *o, vt_log *log, const sigset_t *signals, vt_err *err) {
    uint64_t begun = vt_now_ns();
    vt_http_options http_opts;
    vt_engine_options engine_opts;
    vt_http *http = NULL;
    vt_engine *e = NULL;
    int received = 0;
    vt_status s = http_options(o, &http_opts, err);
    if (s == VT_OK)
        s = vt_options_engine(o, &engine_opts, err);
    engine_opts.upkeep = true;
    if (s == VT_OK)
        s = vt_http_open(&http_opts, log, &http, err);
    if (s == VT_OK)
        s = vt_engine_open(&engine_opts, log, &e, err);
    if (s == VT_OK) {
        vt_http_attach(http, e);
        bool ipv6 = strchr(http_opts.bind, ':') != NULL;
        vt_log_stage(log, "ready", vt_seconds_since(begun), "http://%s%s%s:%u", ipv6 ? "[" : "",
                     http_opts.bind, ipv6 ? "]" : "", vt_http_port(http));
        sigwait(signals, &received);
        vt_log_say(log, VT_LOG_INFO, "stop", "%s: answering what was accepted",
                   strsignal(received));
    }
    vt_http_close(http, GRACE_SECONDS);
    vt_engine_close(e);
    if (s == VT_OK)
        vt_log_say(log, VT_LOG_INFO, "stop", "stopped: what was acknowledged is on disk");
    return s;
}

vt_status vt_command_serve(vt_options *o, int *code, vt_err *err) {
    vt_log *log = NULL;
    sigset_t signals;
    vt_status s = vt_refuse_words(o, "serve", err);
    if (s == VT_OK)
        s = vt_options_log(o, &log, err);
    if (s == VT_OK) {
        block_signals(&signals);
        s = serve(o, log, &signals, err);
    }
    vt_log_close(log);
    return s;
}
