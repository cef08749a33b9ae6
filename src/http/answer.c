/* answer: what a request will be told, and how it is sent.
 *
 * A problem is RFC 9457: type "about:blank", title = the HTTP phrase, status, detail = the one line
 * of text, and as members of our own `code` (from a fixed list: vt_status_code and VT_CODE_*, so
 * that programs need not read text), `request_id`, and where one field is to blame `pointer` (RFC
 * 6901) with `errors` [{pointer, detail}].
 *
 * Threading: an answer belongs to whoever has its request. */
#include <unistd.h>

#include "http/server.h"

void vt_reply_init(vt_reply *a) {
    *a = (vt_reply){.file = -1};
    vt_buf_init(&a->body, VT_ANSWER_MAX);
}

void vt_reply_release(vt_reply *a) {
    vt_buf_release(&a->body);
    if (a->file >= 0)
        close(a->file);
    a->file = -1;
}

static void write_pointer(vt_json *w, const vt_err *err) {
    vt_json_key(w, "pointer");
    vt_json_str(w, err->field);
    vt_json_key(w, "errors");
    vt_json_open(w, '[');
    vt_json_open(w, '{');
    vt_json_key(w, "pointer");
    vt_json_str(w, err->field);
    vt_json_key(w, "detail");
    vt_json_str(w, err->text);
    vt_json_close(w, '}');
    vt_json_close(w, ']');
}

void vt_reply_problem(vt_reply *a, unsigned http, const char *code, const vt_err *err,
                      const char *request_id) {
    a->http = http;
    a->content_type = "application/problem+json";
    vt_buf_clear(&a->body);
    vt_json w;
    vt_json_init(&w, &a->body);
    vt_json_open(&w, '{');
    vt_json_key(&w, "type");
    vt_json_str(&w, "about:blank");
    vt_json_key(&w, "title");
    vt_json_str(&w, MHD_get_reason_phrase_for(http));
    vt_json_key(&w, "status");
    vt_json_int(&w, http);
    vt_json_key(&w, "detail");
    vt_json_str(&w, err->text);
    vt_json_key(&w, "code");
    vt_json_str(&w, code);
    vt_json_key(&w, "request_id");
    vt_json_str(&w, request_id);
    if (err->field[0] != '\0')
        write_pointer(&w, err);
    vt_json_close(&w, '}');
}
