/* Monotonic time for measuring and expiry, wall time for people. */
#include "base/base.h"

uint64_t vt_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double vt_seconds_since(uint64_t ns) {
    return (double)(vt_now_ns() - ns) / 1e9;
}

int64_t vt_wall_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *vt_wall_text(int64_t wall_ms, char out[32]) {
    int64_t ms = ((wall_ms % 1000) + 1000) % 1000; /* floor, also before 1970 */
    time_t seconds = (time_t)((wall_ms - ms) / 1000);
    struct tm tm;
    size_t n;
    if (!gmtime_r(&seconds, &tm))
        tm = (struct tm){.tm_mday = 1};
    n = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%03dZ", (int)ms);
    return out;
}
