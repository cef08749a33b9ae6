/* html (private): character references, as Python's html.unescape reads them. */
#ifndef VT_CLIP_HTML_H
#define VT_CLIP_HTML_H

#include "base/base.h"

/* Appends text (valid UTF-8) to out with every character reference replaced once. The result is at
 * most 3/2 as long. */
void vt_html_unescape(const char *text, size_t n, vt_buf *out);

#endif
