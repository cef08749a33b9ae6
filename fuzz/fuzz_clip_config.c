/* config.json and preprocessor_config.json of any bytes, parted by a line of "====": refused with a
 * text, or of sizes that can be computed with. */
#include "clip/config.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One folder for all inputs of the process, removed at its end. */
static char folder[] = "/tmp/vt-fuzz-config-XXXXXX";

static void write_file(const char *name, const uint8_t *data, size_t n) {
    char path[128];
    FILE *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    if (!f || fwrite(data, 1, n, f) != n || fclose(f) != 0)
        abort();
}

static void remove_folder(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/config.json", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/preprocessor_config.json", folder);
    unlink(path);
    rmdir(folder);
}

static void check(const vt_clip_config *c) {
    vt_buf text;
    if (c->text.width % c->text.heads != 0 || c->vision.width % c->vision.heads != 0 ||
        c->pixels.crop != c->image || c->pixels.resize < c->pixels.crop ||
        vt_clip_config_patches(c) == 0 || c->dim == 0 || c->context < 2)
        abort();
    vt_buf_init(&text, 4096);
    vt_clip_config_canonical(c, &text);
    if (text.failed != VT_OK)
        abort();
    vt_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char line[] = "====\n";
    static bool made;
    const uint8_t *cut = memmem(data, size, line, sizeof line - 1);
    const size_t n = cut ? (size_t)(cut - data) : size;
    const size_t after = cut ? n + sizeof line - 1 : size;
    vt_clip_config c;
    vt_err err;
    if (!made && (!mkdtemp(folder) || atexit(remove_folder) != 0))
        abort();
    made = true;
    write_file("config.json", data, n);
    write_file("preprocessor_config.json", data + after, size - after);
    if (vt_clip_config_read(folder, &c, &err) == VT_OK)
        check(&c);
    else if (!err.text[0])
        abort();
    return 0;
}
