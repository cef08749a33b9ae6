/* One CSV record as a JSON object. Private to engine: rows.c cuts a file into records. */
#ifndef VT_ENGINE_ROWS_CSV_H
#define VT_ENGINE_ROWS_CSV_H

#include "base/base.h"

typedef struct vt_csv vt_csv;

/* max_line: of a record, in bytes, as its splitter guarantees it. */
vt_status vt_csv_open(size_t max_line, vt_csv **out, vt_err *err) VT_MUST_USE;
void vt_csv_close(vt_csv *c);
/* ',' ';' or tab; '\0' as long as there was no header. */
char vt_csv_separator(const vt_csv *c);

/* text: a record without its line end, valid UTF-8 and so without NUL. The first one is the header.
 * E_PARSE: not RFC 4180. E_INVALID: a column that is unknown, comes twice or contradicts another.
 */
vt_status vt_csv_read_header(vt_csv *c, const char *text, size_t n, vt_err *err) VT_MUST_USE;
/* The others, each a JSON object in *json (valid until the next call). E_PARSE: not RFC 4180, or
 * another number of fields than the header; E_INVALID names the field; E_TOO_LARGE; E_NOMEM. */
vt_status vt_csv_read_row(vt_csv *c, const char *text, size_t n, const vt_buf **json,
                          vt_err *err) VT_MUST_USE;

#endif
