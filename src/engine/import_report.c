/* What an import tells: each line's result and the sum of them, in the words that the HTTP answer
 * and the command line's --json share. */
#include "engine/engine.h"

void vt_import_count(vt_import_counts *c, const vt_import_line *l) {
    c->lines++;
    if (l->status != VT_OK) {
        c->failed++;
        return;
    }
    c->encoded += l->result->encoded;
    c->created += strcmp(l->result->result, "created") == 0;
    c->updated += strcmp(l->result->result, "updated") == 0;
    c->unchanged += strcmp(l->result->result, "unchanged") == 0;
}

void vt_import_line_write(const vt_import_line *l, vt_json *w) {
    vt_json_open(w, '{');
    vt_json_key(w, "line");
    vt_json_int(w, (int64_t)l->line);
    vt_json_key(w, "id");
    vt_json_str(w, l->id);
    vt_json_key(w, "status");
    vt_json_str(w, l->status == VT_OK ? l->result->result : "error");
    if (l->status != VT_OK) {
        vt_json_key(w, "code");
        vt_json_str(w, vt_status_code(l->status));
        vt_json_key(w, "detail");
        vt_json_str(w, l->err->text);
        if (l->err->field[0]) {
            vt_json_key(w, "pointer");
            vt_json_str(w, l->err->field);
        }
    }
    vt_json_close(w, '}');
}

void vt_import_counts_write(const vt_import_counts *c, vt_json *w) {
    const struct {
        const char *key;
        uint64_t value;
    } counts[] = {
        {"lines", c->lines},         {"created", c->created}, {"updated", c->updated},
        {"unchanged", c->unchanged}, {"failed", c->failed},   {"encoded", c->encoded},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        vt_json_key(w, counts[i].key);
        vt_json_int(w, (int64_t)counts[i].value);
    }
}
