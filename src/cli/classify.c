/* The command classify: a picture's category, and the table that shows how far its confidence can
 * be trusted. */
#include "cli/command.h"

enum { IMAGE_MAX = 20 * 1000 * 1000 };

/* "shoes, t-shirts" -> ["shoes", "t-shirts"] */
static vt_status add_labels(json_t *request, const char *list, vt_err *err) {
    json_t *labels = json_array();
    vt_status s = VT_OK;
    if (!labels || json_object_set_new(request, "labels", labels) != 0)
        return vt_fail_nomem(err, 64);
    while (*list && s == VT_OK) {
        size_t skip = strspn(list, " ,"), n = strcspn(list + skip, ","), next = skip + n;
        while (n > 0 && list[skip + n - 1] == ' ')
            n--;
        if (n > 0 && json_array_append_new(labels, json_stringn(list + skip, n)) != 0)
            s = vt_fail(err, VT_E_INVALID, "--labels is not valid UTF-8");
        list += next;
    }
    return s;
}

static vt_status ask_category(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    json_t *request = json_object();
    vt_buf image;
    vt_status s = request ? VT_OK : vt_fail_nomem(err, 64);
    vt_buf_init(&image, IMAGE_MAX);
    if (s == VT_OK && o->value[OPT_LABELS])
        s = add_labels(request, o->value[OPT_LABELS], err);
    if (s == VT_OK)
        s = vt_file_read(o->words[0], &image, err);
    if (s == VT_OK)
        s = vt_engine_detect_category(e, request, image.data ? image.data : "", image.len, answer,
                                      err);
    vt_buf_release(&image);
    json_decref(request);
    return s;
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

static void print_category(const vt_options *o, const vt_buf *answer) {
    vt_err err;
    json_t *v = NULL, *guess;
    size_t i;
    if (o->value[OPT_JSON]) {
        puts(answer->data);
        return;
    }
    if (vt_json_parse(answer->data, answer->len, &v, &err) != VT_OK)
        return;
    json_array_foreach(json_object_get(v, "categories"), i, guess) {
        printf("%3zu  %.4f  ", i + 1, number(guess, "confidence"));
        vt_put_plain(stdout, json_string_value(json_object_get(guess, "category")), 0);
        putchar('\n');
    }
    fprintf(stderr, "%s, in %.2f ms\n",
            json_is_true(json_object_get(v, "sure")) ? "sure" : "not sure",
            number(v, "execution_time_ms"));
    json_decref(v);
}

/* ---- reliability ---------------------------------------------------------------------------- */

static vt_status ask_reliability(vt_engine *e, vt_options *o, vt_buf *answer, vt_err *err) {
    return vt_engine_reliability(e, answer, err);
}

static void print_bin(const json_t *bin) {
    printf("%.1f - %.1f  %8.0f", number(bin, "from"), number(bin, "to"), number(bin, "products"));
    if (number(bin, "products") > 0)
        printf("  %10.3f  %5.3f", number(bin, "confidence"), number(bin, "right"));
    putchar('\n');
}

static void print_reliability(const vt_options *o, const vt_buf *answer) {
    vt_err err;
    json_t *v = NULL, *bin;
    const json_t *calibration;
    size_t i;
    if (o->value[OPT_JSON]) {
        puts(answer->data);
        return;
    }
    if (vt_json_parse(answer->data, answer->len, &v, &err) != VT_OK)
        return;
    puts("confidence  products        mean  right");
    json_array_foreach(json_object_get(v, "bins"), i, bin) print_bin(bin);
    printf("all         %8.0f              %5.3f\n", number(v, "products"), number(v, "right"));
    printf("expected calibration error %.3f\n", number(v, "expected_calibration_error"));
    calibration = json_object_get(v, "calibration");
    printf("image weight %.1f, temperature %.4g, %s\n", number(calibration, "image_weight"),
           number(calibration, "temperature"),
           json_is_true(json_object_get(calibration, "measured"))
               ? "measured on the catalogue"
               : "presets: too few products to measure, so never sure");
    json_decref(v);
}

vt_status vt_command_classify(vt_options *o, int *code, vt_err *err) {
    bool table = o->value[OPT_RELIABILITY] != NULL;
    if (table && o->value[OPT_LABELS])
        return vt_fail(err, VT_E_INVALID, "--reliability is of the catalogue, not of --labels");
    if (table) {
        vt_status s = vt_refuse_words(o, "classify --reliability", err);
        return s == VT_OK ? vt_ask(o, ask_reliability, print_reliability, err) : s;
    }
    if (o->n_words != 1)
        return vt_fail(err, VT_E_INVALID, "one picture is needed: vitrine classify IMAGE");
    if (o->value[OPT_LABELS])
        o->value[OPT_DATA] = NULL; /* no catalogue is looked at, and none is made or locked */
    return vt_ask(o, ask_category, print_category, err);
}
