/* See talk.h. */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

void talk_say(vt_buf *line) {
    vt_buf_puts(line, "\n");
    if (line->failed == VT_OK)
        fputs(line->data, stdout);
    fflush(stdout);
    vt_buf_release(line);
}

void talk_numbers(vt_json *w, const char *name, const double *values, size_t n) {
    vt_json_key(w, name);
    vt_json_open(w, '[');
    for (size_t i = 0; i < n; i++)
        vt_json_num(w, values[i], 7);
    vt_json_close(w, ']');
}

/* In place. What is too many stays in the last word. */
static void cut_words(char *line, const char *words[TALK_WORDS]) {
    line[strcspn(line, "\n")] = 0;
    for (size_t i = 0; i < TALK_WORDS; i++) {
        size_t n = i + 1 < TALK_WORDS ? strcspn(line, " ") : strlen(line);
        words[i] = line;
        line += n;
        if (*line)
            *line++ = 0;
    }
}

vt_status talk_listen(talk_fn obey, void *ctx, vt_err *err) {
    char *line = NULL;
    size_t cap = 0;
    vt_status s = VT_OK;
    while (s == VT_OK && getline(&line, &cap, stdin) > 0) {
        const char *words[TALK_WORDS];
        cut_words(line, words);
        s = obey(ctx, words, err);
    }
    free(line);
    return s;
}
