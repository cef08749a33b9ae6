/* Stand-alone driver of a fuzz target: feeds every file of the folders given to
 * LLVMFuzzerTestOneInput, and a few systematic mutations of each (cut short, bytes flipped), so
 * that the seed corpus is a test of its own without libFuzzer. Finishing is passing. */
#include "base/base.h"

#include <dirent.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST_SEED = 1 << 20, MUTATIONS = 64 };

/* A copy of exactly n bytes, so that a sanitizer sees the first byte read beyond it. */
static void run_copy(const uint8_t *data, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        abort();
    if (n > 0)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void run_mutations(uint8_t *data, size_t n) {
    for (size_t i = 0; n > 0 && i < MUTATIONS; i++) {
        size_t at = n * i / MUTATIONS;
        uint8_t kept = data[at];
        run_copy(data, at);
        data[at] ^= (uint8_t)(1u << i % 8);
        run_copy(data, n);
        data[at] = 0xFF;
        run_copy(data, n);
        data[at] = kept;
    }
}

static void run_file(const char *path) {
    vt_buf bytes;
    vt_err err;
    vt_buf_init(&bytes, LARGEST_SEED);
    if (vt_file_read(path, &bytes, &err) != VT_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    run_copy((const uint8_t *)bytes.data, bytes.len);
    run_mutations((uint8_t *)bytes.data, bytes.len);
    vt_buf_release(&bytes);
}

static size_t run_folder(const char *folder) {
    DIR *dir = opendir(folder);
    struct dirent *entry;
    size_t count = 0;
    if (!dir) {
        perror(folder);
        exit(1);
    }
    while ((entry = readdir(dir))) {
        char *path = vt_path_join(folder, entry->d_name);
        if (entry->d_name[0] != '.' && path) {
            run_file(path);
            count++;
        }
        free(path);
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        count += run_folder(argv[i]);
    printf("%zu seeds\n", count);
    return count > 0 ? 0 : 1;
}
