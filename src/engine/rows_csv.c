/* A CSV record becomes a product's JSON object. libcsv (in its strict mode) takes off quotes and
 * separators; the meaning of the columns is decided once, when the header is read: each name is
 * split at its dots into the keys that lead to its value ("attributes.size.eu" -> attributes, size,
 * eu), and the columns are sorted by these keys. Columns of one object are then neighbours, a row
 * is written in one walk that opens and closes objects where the keys change, and two columns that
 * want to be the same thing, or one the object that holds the other, are neighbours too and found.
 *
 * Numbers are copied digit by digit as the shop wrote them: 19.99 stays 19.99 and never becomes the
 * 19.989999999999998 of a double printed in full. What looks like a code stays a string: "007",
 * "+33", "1e5", and anything of more than 15 digits, which a double could not give back.
 *
 * Rejected: a jansson object a row, to be printed again (it loses the digits), and guessing column
 * names of other systems ("SKU", "Handle"): a guess that is wrong fills a catalogue with nonsense,
 * a refusal takes a minute to mend.
 *
 * Threading: none, as vt_rows. */
#include "engine/rows_csv.h"

#include <csv.h>

#include "catalog/catalog.h"

#define COLUMNS_MAX   1000
#define KEYS_MAX      (1 + VT_ATTRIBUTES_DEPTH) /* "attributes" and the levels below */
#define NUMBER_DIGITS 15                        /* a double keeps every one of 15 digits */

typedef enum column_kind { COLUMN_TEXT, COLUMN_PRICE, COLUMN_JSON, COLUMN_ATTRIBUTE } column_kind;

typedef struct column {
    char *name;           /* as the header has it */
    char *split;          /* the same with its dots turned to NUL; keys point into it */
    char *keys[KEYS_MAX]; /* what leads to the value, the last one is its own */
    size_t n_keys;
    size_t cell; /* which field of a row it is */
    column_kind kind;
} column;

struct vt_csv {
    struct csv_parser parser;
    char separator;
    column *columns; /* sorted by keys */
    size_t n_columns;
    /* the fields of the record being read */
    vt_buf cells; /* each followed by a NUL */
    size_t *starts;
    size_t n_cells, cap_cells; /* n_cells counts those beyond COLUMNS_MAX too */
    size_t n_rows;
    vt_err failed; /* of storing a field */
    vt_buf json;
};

/* ---- libcsv ----------------------------------------------------------------------------- */

/* RFC 4180: "Spaces are considered part of a field and should not be ignored." */
static int is_no_space(unsigned char c) {
    return 0;
}

static vt_status parser_start(vt_csv *c, vt_err *err) {
    csv_free(&c->parser); /* it holds nothing the first time */
    if (csv_init(&c->parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return vt_fail(err, VT_E_INTERNAL, "libcsv cannot be initialised");
    csv_set_space_func(&c->parser, is_no_space);
    csv_set_blk_size(&c->parser, 4096);
    if (c->separator)
        csv_set_delim(&c->parser, (unsigned char)c->separator);
    return VT_OK;
}

static void on_field(void *bytes, size_t n, void *ctx) {
    vt_csv *c = ctx;
    if (c->failed.status != VT_OK || c->n_cells++ > COLUMNS_MAX)
        return;
    if (vt_array_grow(&c->starts, &c->cap_cells, c->n_cells, sizeof *c->starts, &c->failed) !=
        VT_OK)
        return;
    c->starts[c->n_cells - 1] = c->cells.len;
    vt_buf_append(&c->cells, bytes, n);
    vt_buf_append(&c->cells, "", 1);
}

static void on_row(int ends, void *ctx) {
    vt_csv *c = ctx;
    c->n_rows++;
}

/* Splits one record into cells. */
static vt_status read_cells(vt_csv *c, const char *text, size_t n, vt_err *err) {
    vt_buf_clear(&c->cells);
    c->n_cells = c->n_rows = 0;
    c->failed.status = VT_OK;
    bool parsed = csv_parse(&c->parser, text, n, on_field, on_row, c) == n &&
                  csv_fini(&c->parser, on_field, on_row, c) == 0;
    int why = parsed ? CSV_SUCCESS : csv_error(&c->parser);
    if (!parsed) { /* libcsv's state is in the middle of something */
        vt_status s = parser_start(c, err);
        if (s != VT_OK)
            return s;
    }
    if (c->failed.status != VT_OK) {
        *err = c->failed;
        return err->status;
    }
    if (why == CSV_ENOMEM || c->cells.failed == VT_E_NOMEM)
        return vt_fail_nomem(err, n);
    if (why != CSV_SUCCESS)
        return vt_fail(err, VT_E_PARSE,
                       "a quote stands inside a field, or a quoted field is not closed");
    if (c->n_rows > 1)
        return vt_fail(err, VT_E_PARSE, "a carriage return stands outside quotes");
    return vt_buf_status(&c->cells, "the record", err);
}

/* ---- header ----------------------------------------------------------------------------- */

/* The one that is met most often outside quotes. */
static char choose_separator(const char *text, size_t n) {
    static const char candidates[] = {',', ';', '\t'};
    size_t count[sizeof candidates] = {0}, best = 0;
    bool quoted = false;
    for (size_t i = 0; i < n; i++) {
        quoted ^= text[i] == '"';
        for (size_t k = 0; k < sizeof candidates && !quoted; k++)
            count[k] += text[i] == candidates[k];
    }
    for (size_t k = 1; k < sizeof candidates; k++)
        if (count[k] > count[best])
            best = k;
    return candidates[best];
}

static bool column_kind_of(const char *name, column_kind *kind) {
    static const char *const texts[] = {"id",    "name",      "description",
                                        "image", "image_url", "category"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (strcmp(name, texts[i]) == 0) {
            *kind = COLUMN_TEXT;
            return true;
        }
    }
    *kind = strcmp(name, "price") == 0 ? COLUMN_PRICE : COLUMN_JSON;
    if (*kind == COLUMN_PRICE || strcmp(name, "attributes") == 0)
        return true;
    *kind = COLUMN_ATTRIBUTE;
    return strncmp(name, "attributes.", 11) == 0;
}

/* Splits the name at its dots; false where a key is empty or there are too many. */
static bool column_split(column *c) {
    char *p = c->split;
    c->n_keys = 0;
    while (c->n_keys < KEYS_MAX && *p && *p != '.') {
        c->keys[c->n_keys++] = p;
        p += strcspn(p, ".");
        if (!*p)
            return true;
        *p++ = '\0';
    }
    return false;
}

static vt_status column_init(column *c, const char *name, size_t cell, vt_err *err) {
    *c = (column){.name = vt_strdup(name), .split = vt_strdup(name), .cell = cell};
    if (!c->name || !c->split)
        return vt_fail_nomem(err, strlen(name) + 1);
    if (!*name)
        return vt_fail(err, VT_E_INVALID, "CSV header: column %zu has no name", cell + 1);
    if (!column_kind_of(name, &c->kind) || !column_split(c))
        return vt_fail(err, VT_E_INVALID,
                       "CSV header: unknown column \"%s\"; known are id, name, description, image, "
                       "image_url, category, price, attributes and attributes.<name>",
                       name);
    return VT_OK;
}

/* By keys, a shorter path before those below it. */
static int column_order(const void *a, const void *b) {
    const column *x = a, *y = b;
    for (size_t i = 0; i < x->n_keys && i < y->n_keys; i++) {
        int order = strcmp(x->keys[i], y->keys[i]);
        if (order != 0)
            return order;
    }
    return x->n_keys < y->n_keys ? -1 : x->n_keys > y->n_keys;
}

/* How many objects below the product both values lie in. */
static size_t shared_objects(const column *x, const column *y) {
    size_t n = 0;
    while (n + 1 < x->n_keys && n + 1 < y->n_keys && strcmp(x->keys[n], y->keys[n]) == 0)
        n++;
    return n;
}

/* x and y are neighbours in their order: is y the same value as x, or inside it? */
static vt_status check_neighbours(const column *x, const column *y, vt_err *err) {
    size_t shared = shared_objects(x, y);
    if (shared + 1 != x->n_keys || strcmp(x->keys[shared], y->keys[shared]) != 0)
        return VT_OK;
    if (x->n_keys == y->n_keys)
        return vt_fail(err, VT_E_INVALID, "CSV header: column \"%s\" comes twice", x->name);
    return vt_fail(err, VT_E_INVALID,
                   "CSV header: \"%s\" and \"%s\" cannot both be columns: one is inside the other",
                   x->name, y->name);
}

vt_status vt_csv_read_header(vt_csv *c, const char *text, size_t n, vt_err *err) {
    c->separator = choose_separator(text, n);
    csv_set_delim(&c->parser, (unsigned char)c->separator);
    vt_status s = read_cells(c, text, n, err);
    if (s != VT_OK)
        return vt_fail_prefix(err, "CSV header");
    if (c->n_cells > COLUMNS_MAX)
        return vt_fail(err, VT_E_TOO_LARGE, "CSV header: more than %d columns", COLUMNS_MAX);
    c->columns = vt_alloc(c->n_cells, sizeof *c->columns);
    if (!c->columns)
        return vt_fail_nomem(err, c->n_cells * sizeof *c->columns);
    for (; c->n_columns < c->n_cells && s == VT_OK; c->n_columns++) {
        size_t i = c->n_columns;
        s = column_init(&c->columns[i], c->cells.data + c->starts[i], i, err);
    }
    if (s != VT_OK)
        return s;
    qsort(c->columns, c->n_columns, sizeof *c->columns, column_order);
    for (size_t i = 1; i < c->n_columns && s == VT_OK; i++)
        s = check_neighbours(&c->columns[i - 1], &c->columns[i], err);
    return s;
}

/* ---- row -------------------------------------------------------------------------------- */

/* Digits, perhaps a sign and a decimal point, as JSON writes them: no leading zero, no exponent. */
static bool is_plain_number(const char *s) {
    size_t whole, fraction = 0;
    s += *s == '-';
    whole = strspn(s, "0123456789");
    if (whole == 0 || (whole > 1 && *s == '0'))
        return false;
    s += whole;
    if (*s == '.') {
        fraction = strspn(++s, "0123456789");
        if (fraction == 0)
            return false;
        s += fraction;
    }
    return *s == '\0' && whole + fraction <= NUMBER_DIGITS;
}

static void write_attribute(vt_json *w, const char *cell) {
    if (strcasecmp(cell, "true") == 0 || strcasecmp(cell, "false") == 0)
        vt_json_bool(w, strcasecmp(cell, "true") == 0);
    else if (is_plain_number(cell))
        vt_json_raw(w, cell, strlen(cell));
    else
        vt_json_str(w, cell);
}

/* A price that is no number stays a string, so that the product's validation names /price. */
static void write_price(vt_json *w, const char *cell) {
    double v;
    if (is_plain_number(cell))
        vt_json_raw(w, cell, strlen(cell));
    else if (vt_parse_f64(cell, &v))
        vt_json_num(w, v, 17);
    else
        vt_json_str(w, cell);
}

static vt_status write_json(vt_json *w, const char *cell, const column *c, vt_err *err) {
    json_t *parsed = NULL;
    vt_err why;
    vt_status s = vt_json_parse(cell, strlen(cell), &parsed, &why);
    json_decref(parsed);
    if (s == VT_E_NOMEM)
        return vt_fail_nomem(err, strlen(cell));
    if (s != VT_OK)
        return vt_fail_field(err, VT_E_INVALID, "/attributes", "%s: %s", c->name, why.text);
    vt_json_raw(w, cell, strlen(cell));
    return VT_OK;
}

static vt_status write_value(vt_json *w, const char *cell, const column *c, vt_err *err) {
    switch (c->kind) {
    case COLUMN_TEXT:
        vt_json_str(w, cell);
        break;
    case COLUMN_PRICE:
        write_price(w, cell);
        break;
    case COLUMN_ATTRIBUTE:
        write_attribute(w, cell);
        break;
    case COLUMN_JSON:
        return write_json(w, cell, c, err);
    }
    return VT_OK;
}

/* From inside the objects of column `from` (NULL: none) into those of column `to` (NULL: none). */
static void change_objects(vt_json *w, const column *from, const column *to) {
    size_t shared = from && to ? shared_objects(from, to) : 0;
    for (size_t i = from ? from->n_keys - 1 : 0; i > shared; i--)
        vt_json_close(w, '}');
    for (size_t i = shared; to && i + 1 < to->n_keys; i++) {
        vt_json_key(w, to->keys[i]);
        vt_json_open(w, '{');
    }
}

vt_status vt_csv_read_row(vt_csv *c, const char *text, size_t n, const vt_buf **json, vt_err *err) {
    vt_json w;
    const column *last = NULL; /* the last one written */
    *json = NULL;
    vt_status s = read_cells(c, text, n, err);
    if (s != VT_OK)
        return s;
    if (c->n_cells != c->n_columns)
        return vt_fail(err, VT_E_PARSE, "%zu fields where the header has %zu columns", c->n_cells,
                       c->n_columns);
    vt_buf_clear(&c->json);
    vt_json_init(&w, &c->json);
    vt_json_open(&w, '{');
    for (size_t i = 0; i < c->n_columns && s == VT_OK; i++) {
        const column *col = &c->columns[i];
        const char *cell = c->cells.data + c->starts[col->cell];
        if (!*cell)
            continue; /* an empty cell says nothing */
        change_objects(&w, last, col);
        vt_json_key(&w, col->keys[col->n_keys - 1]);
        s = write_value(&w, cell, col, err);
        last = col;
    }
    change_objects(&w, last, NULL);
    vt_json_close(&w, '}');
    if (s == VT_OK)
        s = vt_buf_status(&c->json, "the record as JSON", err);
    if (s == VT_OK)
        *json = &c->json;
    return s;
}

/* ---- open and close --------------------------------------------------------------------- */

vt_status vt_csv_open(size_t max_line, vt_csv **out, vt_err *err) {
    size_t cells_max, json_max;
    *out = NULL;
    vt_csv *c = vt_alloc(1, sizeof *c);
    if (!c)
        return vt_fail_nomem(err, sizeof *c);
    /* Each cell has a NUL behind it; JSON doubles quotes and repeats the header's names. */
    if (!vt_size_mul(max_line, 2, &cells_max) || !vt_size_mul(max_line, 4, &json_max))
        cells_max = json_max = SIZE_MAX;
    vt_buf_init(&c->cells, cells_max);
    vt_buf_init(&c->json, json_max);
    vt_status s = parser_start(c, err);
    if (s == VT_OK)
        *out = c;
    else
        vt_csv_close(c);
    return s;
}

void vt_csv_close(vt_csv *c) {
    if (!c)
        return;
    for (size_t i = 0; i < c->n_columns; i++) {
        free(c->columns[i].name);
        free(c->columns[i].split);
    }
    free(c->columns);
    free(c->starts);
    vt_buf_release(&c->cells);
    vt_buf_release(&c->json);
    csv_free(&c->parser);
    free(c);
}

char vt_csv_separator(const vt_csv *c) {
    return c->separator;
}
