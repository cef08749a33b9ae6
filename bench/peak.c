/* How fast the machine can be: bench_peak. For one thread and for all, one line of JSON: GFLOP/s
 * (for int8: 10^9 operations a second) of each instruction repeated on registers, and GB/s of
 * reading memory, over blocks of two sizes. bench/encoder says what share of them an engine
 * reaches.
 *
 * The loops are assembly: a compiler may fold, spill or reorder intrinsics (gcc 12 spills those of
 * vpdpbusd), and then the peak is the compiler's. Each has more accumulators than the latency of
 * its instruction times its ports. What the processor or the system lacks is left out. The best of
 * several short runs counts: a peak is a limit, and noise only lowers it.
 *
 * bench_peak distance: only how long a line takes to another processor and back, in ns. Where a
 * virtual machine's processors are placed anew while it runs, that is what changes. */
#include "base/base.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

enum { MOST_THREADS = 1024, RUNS = 40 };
static const double RUN_SECONDS = 0.005;

typedef struct instruction {
    const char *name;
    void (*loop)(size_t rounds);
    double operations; /* of one round */
    bool present;
} instruction;

#ifdef __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* 0x3c3c3c3c is a small positive number in each format, so that sums neither overflow nor become
 * denormal. Registers below 16 can be named without EVEX, so every compiler takes the clobbers. */
#define SUMS         14
#define EACH_SUM(op) ".irp i,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t" op "\n\t.endr\n\t"
#define FILL(r)                                                                                    \
    "vmovd %1, %%xmm0\n\tvpbroadcastd %%xmm0, %%" r "0\n\tvpbroadcastd %%xmm0, %%" r "1\n\t"
#define CLEAR         EACH_SUM("vpxor %%xmm\\i, %%xmm\\i, %%xmm\\i")
#define REPEAT(op, r) "1:\n\t" EACH_SUM(op " %%" r "0, %%" r "1, %%" r "\\i") "dec %0\n\tjnz 1b\n\t"
#define CLOBBERED                                                                                  \
    "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* op on registers r ("ymm", "zmm"): 0 times 1 into 2 to 15. */
#define REGISTER_LOOP(function, op, r)                                                             \
    static void function(size_t rounds) {                                                          \
        __asm__ volatile(FILL(r) CLEAR REPEAT(op, r) "vzeroupper"                                  \
                         : "+r"(rounds)                                                            \
                         : "r"(0x3c3c3c3c)                                                         \
                         : CLOBBERED);                                                             \
    }

REGISTER_LOOP(fma_ymm, "vfmadd231ps", "ymm")
REGISTER_LOOP(fma_zmm, "vfmadd231ps", "zmm")
REGISTER_LOOP(bf16_zmm, "vdpbf16ps", "zmm")
REGISTER_LOOP(int8_zmm, "vpdpbusd", "zmm")

#define TILE_SUMS 6
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;
static const tile_config whole_tiles = {.palette = 1,
                                        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
                                        .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

#define EACH_TILE(op)    ".irp i,0,1,2,3,4,5\n\t" op "\n\t.endr\n\t"
#define FILL_TILES       "ldtilecfg %1\n\ttileloadd (%2,%3,1), %%tmm6\n\ttileloadd (%2,%3,1), %%tmm7\n\t"
#define CLEAR_TILES      EACH_TILE("tilezero %%tmm\\i")
#define REPEAT_TILES(op) "1:\n\t" EACH_TILE(op " %%tmm7, %%tmm6, %%tmm\\i") "dec %0\n\tjnz 1b\n\t"

/* Tile 6 times tile 7 into 0 to 5. No compiler keeps anything in tiles, so none is told. */
#define TILE_LOOP(function, op)                                                                    \
    static void function(size_t rounds) {                                                          \
        uint8_t values[1024];                                                                      \
        memset(values, 0x3c, sizeof values);                                                       \
        __asm__ volatile(FILL_TILES CLEAR_TILES REPEAT_TILES(op) "tilerelease"                     \
                         : "+r"(rounds)                                                            \
                         : "m"(whole_tiles), "r"(values), "r"((size_t)64)                          \
                         : "cc", "memory");                                                        \
    }

TILE_LOOP(bf16_tiles, "tdpbf16ps")
TILE_LOOP(int8_tiles, "tdpbssd")

/* The kernel keeps a process out of the tiles until it asks for their state to be saved. */
static bool tiles_allowed(void) {
    enum { REQ_XCOMP_PERM = 0x1023, XFEATURE_TILEDATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, XFEATURE_TILEDATA) == 0;
}

static size_t find_instructions(instruction out[6]) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AMX_INT8 = 1 << 25 };
    unsigned a = 0, b = 0, c = 0, d = 0;
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    bool avx512 = __builtin_cpu_supports("avx512f");
    bool tiles = (d & AMX_TILE) && tiles_allowed();
    const instruction all[6] = {
        {"f32 avx2", fma_ymm, SUMS * 8 * 2,
         __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
        {"f32 avx512", fma_zmm, SUMS * 16 * 2, avx512},
        {"bf16 avx512", bf16_zmm, SUMS * 32 * 2, avx512 && __builtin_cpu_supports("avx512bf16")},
        {"int8 avx512", int8_zmm, SUMS * 64 * 2, avx512 && __builtin_cpu_supports("avx512vnni")},
        {"bf16 amx", bf16_tiles, TILE_SUMS * 16 * 16 * 32 * 2, tiles && (d & AMX_BF16)},
        {"int8 amx", int8_tiles, TILE_SUMS * 16 * 16 * 64 * 2, tiles && (d & AMX_INT8)},
    };
    size_t n = 0;
    for (size_t i = 0; i < 6; i++)
        if (all[i].present)
            out[n++] = all[i];
    return n;
}
#else
static size_t find_instructions(instruction out[6]) {
    return 0;
}
#endif

/* What one thread does: repeats a loop, or reads a part of a block. */
typedef struct job {
    const instruction *what; /* NULL: read */
    size_t rounds;
    const uint8_t *block;
    size_t bytes;
    pthread_t thread;
} job;

/* Four streams, each asked for ahead: the processor's own prefetch alone reached three quarters of
 * this. One word of each cache line is enough to have the line come. */
static void read_block(const uint8_t *block, size_t bytes) {
    enum { LINE = 64, STREAMS = 4, PIECE = 256, AHEAD = 1024 };
    size_t part = bytes / STREAMS / PIECE * PIECE;
    uint64_t sum = 0;
    for (const uint8_t *p = block; p < block + part; p += PIECE)
        for (size_t stream = 0; stream < STREAMS; stream++)
            for (size_t k = 0; k < PIECE; k += LINE) {
                const uint8_t *at = p + stream * part + k;
                __builtin_prefetch(at + AHEAD);
                sum ^= *(const uint64_t *)(const void *)at;
            }
    __asm__ volatile("" : : "r"(sum)); /* somebody wants it */
}

static void *work(void *ctx) {
    const job *j = ctx;
    if (j->what)
        j->what->loop(j->rounds);
    else
        read_block(j->block, j->bytes);
    return NULL;
}

/* Seconds until the last of the threads is done; the caller is the first. */
static double run_jobs(job *jobs, unsigned threads) {
    unsigned started = 1;
    uint64_t begun = vt_now_ns();
    while (started < threads &&
           pthread_create(&jobs[started].thread, NULL, work, &jobs[started]) == 0)
        started++;
    work(&jobs[0]);
    for (unsigned i = 1; i < started; i++)
        pthread_join(jobs[i].thread, NULL);
    return started == threads ? vt_seconds_since(begun) : INFINITY;
}

static double best_seconds(job *jobs, unsigned threads) {
    double best = INFINITY;
    for (int i = 0; i < RUNS; i++) {
        double seconds = run_jobs(jobs, threads);
        if (seconds < best)
            best = seconds;
    }
    return best;
}

/* 10^9 operations a second of one instruction on all threads. */
static double instruction_peak(const instruction *what, job *jobs, unsigned threads) {
    size_t rounds = 1000;
    for (double seconds = 0; seconds < RUN_SECONDS; rounds *= 2) {
        uint64_t begun = vt_now_ns();
        what->loop(rounds);
        seconds = vt_seconds_since(begun);
    }
    for (unsigned i = 0; i < threads; i++)
        jobs[i] = (job){.what = what, .rounds = rounds};
    return what->operations * (double)rounds * threads / best_seconds(jobs, threads) / 1e9;
}

/* GB/s of reading `bytes` again and again; 0 where there is no memory for it. */
static double bandwidth(size_t bytes, job *jobs, unsigned threads) {
    size_t part = bytes / threads / 256 * 256;
    uint8_t *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED)
        return 0;
    madvise(block, bytes, MADV_HUGEPAGE); /* page walks are not what is measured; a hint */
    memset(block, 1, bytes);
    for (unsigned i = 0; i < threads; i++)
        jobs[i] = (job){.block = block + i * part, .bytes = part};
    double rate = (double)(part * threads) / best_seconds(jobs, threads) / 1e9;
    munmap(block, bytes);
    return rate;
}

static void print_peaks(const instruction *all, size_t n, job *jobs, unsigned threads) {
    vt_buf line;
    vt_json w;
    vt_buf_init(&line, 4096);
    vt_json_init(&w, &line);
    vt_json_open(&w, '{');
    vt_json_key(&w, "threads");
    vt_json_int(&w, threads);
    for (size_t i = 0; i < n; i++) {
        vt_json_key(&w, all[i].name);
        vt_json_num(&w, instruction_peak(&all[i], jobs, threads), 5);
    }
    vt_json_key(&w, "read 128 MiB");
    vt_json_num(&w, bandwidth((size_t)128 << 20, jobs, threads), 4);
    vt_json_key(&w, "read 1 GiB");
    vt_json_num(&w, bandwidth((size_t)1 << 30, jobs, threads), 4);
    vt_json_close(&w, '}');
    puts(line.data ? line.data : "null");
    fflush(stdout);
    vt_buf_release(&line);
}

/* Two threads take turns to raise it: the caller to odd numbers, the other to even ones. */
static _Alignas(128) atomic_uint ball;

enum { EXCHANGES = 1000, SETS = 100 };

static void play_set(unsigned set, unsigned player) {
    for (unsigned i = 0; i < EXCHANGES; i++) {
        const unsigned now = 2 * (set * EXCHANGES + i) + player;
        while (atomic_load_explicit(&ball, memory_order_acquire) != now)
            continue;
        atomic_store_explicit(&ball, now + 1, memory_order_release);
    }
}

static void *play_against(void *unused) {
    for (unsigned set = 0; set < SETS; set++)
        play_set(set, 1);
    return unused;
}

/* Of the best set: at first both threads may be on one processor. */
static int print_distance(void) {
    pthread_t other;
    double best = INFINITY;
    if (pthread_create(&other, NULL, play_against, NULL) != 0)
        return 1;
    for (unsigned set = 0; set < SETS; set++) {
        uint64_t begun = vt_now_ns();
        play_set(set, 0);
        best = fmin(best, vt_seconds_since(begun));
    }
    pthread_join(other, NULL);
    printf("%.0f\n", best / EXCHANGES * 1e9);
    return 0;
}

int main(int argc, char **argv) {
    static job jobs[MOST_THREADS];
    instruction all[6];
    size_t n = find_instructions(all);
    vt_pool *pool; /* asked how many processors this process may use */
    vt_err err;
    if (vt_pool_open(0, &pool, &err) != VT_OK) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    unsigned most = vt_pool_threads(pool);
    vt_pool_close(pool);
    if (argc > 1 && strcmp(argv[1], "distance") == 0) {
        if (most > 1)
            return print_distance();
        fprintf(stderr, "bench_peak: there is one processor only\n");
        return 1;
    }
    print_peaks(all, n, jobs, 1);
    if (most > 1)
        print_peaks(all, n, jobs, most);
    return 0;
}
