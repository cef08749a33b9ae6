/* unicode (private): the few properties of characters that CLIP's tokenizer asks about, with the
 * answers that Python's str and regex modules give. Text here is valid UTF-8 always. */
#ifndef VT_CLIP_UNICODE_H
#define VT_CLIP_UNICODE_H

#include "base/base.h"

/* Decodes the character at *p and steps over it. */
uint32_t vt_char_next(const char **p);
/* Offset of the first byte that is not part of valid UTF-8, n when all is. NUL is a character. */
size_t vt_utf8_prefix(const char *text, size_t n);

typedef enum vt_char_class {
    VT_CHAR_SPACE,
    VT_CHAR_LETTER,
    VT_CHAR_NUMBER,
    VT_CHAR_OTHER
} vt_char_class;

/* \s, \p{L}, \p{N} of the regex module, or none of them. */
vt_char_class vt_char_classify(uint32_t c);
/* str.isspace(): \s and the four information separators, which str.strip() takes away too. */
bool vt_char_is_strippable(uint32_t c);

/* Appends str.lower() of the text. */
void vt_text_lower(const char *text, size_t n, vt_buf *out);

#endif
