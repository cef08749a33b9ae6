/* crop_tool: the pixels that the image tower would get, on standard output, for tests written in
 * other languages (tests/py/test_image_pillow.py compares them with Pillow's).
 *
 *   crop_tool openai|hf RESIZE CROP FILE...
 *
 * VITRINE_ISA in the environment chooses the instruction set. For each file one line, "ok" and then
 * CROP * CROP * 3 bytes of RGB, or the error. */
#include "image/image.h"
#include "vec/vec.h"

static vt_status crop_file(const char *path, const vt_image_spec *spec, uint8_t *rgb, vt_err *err) {
    vt_map file = {0};
    vt_image img = {0};
    vt_status s = vt_file_map(path, &file, err);
    if (s == VT_OK)
        s = vt_image_decode(file.data, file.size, &img, err);
    if (s == VT_OK)
        s = vt_image_crop(&img, spec, rgb, err);
    vt_image_release(&img);
    vt_map_release(&file);
    return s;
}

static bool read_spec(char **argv, vt_image_spec *spec) {
    uint64_t resize = 0, crop = 0;
    if (!vt_parse_u64(argv[2], 4096, &resize) || !vt_parse_u64(argv[3], resize, &crop) || crop == 0)
        return false;
    *spec = (vt_image_spec){.resize = (uint32_t)resize,
                            .crop = (uint32_t)crop,
                            .convert_first = strcmp(argv[1], "hf") == 0};
    return true;
}

int main(int argc, char **argv) {
    vt_image_spec spec;
    vt_err err;
    if (vt_vec_init(getenv("VITRINE_ISA"), &err) != VT_OK) {
        fprintf(stderr, "crop_tool: %s\n", err.text);
        return 2;
    }
    if (argc < 5 || !read_spec(argv, &spec)) {
        fprintf(stderr, "usage: crop_tool openai|hf RESIZE CROP FILE...\n");
        return 2;
    }
    size_t size = (size_t)spec.crop * spec.crop * 3;
    uint8_t *rgb = vt_alloc(size, 1);
    if (rgb == NULL)
        return 1;
    for (int i = 4; i < argc; i++) {
        vt_status s = crop_file(argv[i], &spec, rgb, &err);
        printf("%s\n", s == VT_OK ? "ok" : err.text);
        if (s == VT_OK)
            fwrite(rgb, 1, size, stdout);
    }
    free(rgb);
    return 0;
}
