/* fuzz_target: the request target's parser, without a server. The first line of the input is a
 * target, the second a media type. Properties: what is taken apart is decoded, valid UTF-8 without
 * control characters; decoding what has no escapes changes nothing; the texts of refusals can be
 * put into JSON. */
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *s) {
    assert(vt_utf8_valid(s, strlen(s)));
    for (; *s != '\0'; s++)
        assert((unsigned char)*s >= 0x20 && *s != 0x7f);
}

static void check_target(const char *raw) {
    vt_target t;
    vt_err err = {0};
    if (vt_target_parse(raw, &t, &err) == VT_OK) {
        assert(t.path[0] == '/' || strcmp(t.path, "*") == 0);
        assert(strchr(t.path, '?') == NULL);
        for (size_t i = 0; i < t.n_params; i++) {
            check_text(t.params[i].name);
            check_text(t.params[i].value);
            assert(vt_target_param(&t, t.params[i].name) == t.params[i].value);
        }
    } else {
        check_text(err.text);
    }
    vt_target_release(&t);
}

static void check_decode(const char *raw) {
    char *once = vt_strdup(raw);
    assert(once != NULL);
    if (vt_percent_decode(once, false)) {
        check_text(once);
        assert(strlen(once) <= strlen(raw));
        assert(strchr(raw, '%') != NULL || strcmp(once, raw) == 0);
    }
    free(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = vt_strndup((const char *)data, size);
    assert(text != NULL);
    char *type = strchr(text, '\n');
    if (type != NULL)
        *type++ = '\0';
    check_target(text);
    check_decode(text);
    if (type != NULL && vt_media_is(type, "application/json"))
        assert(!vt_media_is(type, "multipart/form-data"));
    free(text);
    return 0;
}
