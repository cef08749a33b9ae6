/* A filter -> the set of slots it selects: one bit a slot.
 *
 * A conjunction narrows one set clause by clause. The clause whose posting lists are shortest comes
 * first: they are the set (an `or` counts as long as the shortest of each of its filters together).
 * Every other clause is then evaluated the cheaper of two ways: by marking its lists in a second
 * set and an AND (the lists' lengths, and slots / 64), or by asking each slot that is left (a look
 * at its category, its terms, its price). So `category and in_stock` costs a category's length, not
 * the length of what is in stock. A set that is still whole is not written until something narrows
 * it.
 *
 * An `or` narrows a copy of the set for each of its filters and joins them; a `not` narrows a copy
 * and takes it away. Their filters see what the other clauses have left, never more.
 *
 * Prices have no order in memory: a pass over an array of doubles, 64 comparisons without a branch
 * a word, and only where the set has bits. Rejected: a sorted copy (a price that changes would move
 * a million others, for half a millisecond saved). The same goes for numbers of attributes: each
 * value has its list, and a range looks at all lists' keys.
 *
 * Rejected on the whole: filtering after the top k (returns fewer than k), and asking SQLite (a
 * lock across disk, and 100 times slower).
 *
 * Not synchronised: memory.c holds the lock. */
#include "catalog/columns.h"

#include <math.h>

/* Asking one slot costs about as much as marking this many: two or three lines of memory that are
 * far apart, against a list's, which follow each other. */
enum { ASK = 64, PRICES_ASK = 16 };

typedef struct selector {
    const vt_columns *columns;
    vt_bitset mark; /* made when it is needed first; all 0 between clauses */
    vt_buf key;
    vt_err *err;
} selector;

/* What a filter has left so far. */
typedef struct rest {
    vt_bitset set;
    bool whole;     /* set is not written yet: all live slots are left */
    size_t at_most; /* slots left */
} rest;

/* The posting lists of a clause. */
typedef struct wanted {
    uint32_t lists[VT_FILTER_VALUES_MAX];
    size_t n;
    size_t work; /* entries to mark them all */
} wanted;

static vt_status narrow(selector *s, const vt_filter *f, rest *r);

/* ---- sets ------------------------------------------------------------------------------- */

static size_t words_of(const vt_bitset *b) {
    return (b->n + 63) / 64;
}

static void and_and_clear(vt_bitset *b, vt_bitset *other) {
    for (size_t i = 0; i < words_of(b); i++) {
        b->words[i] &= other->words[i];
        other->words[i] = 0;
    }
}

static void add(vt_bitset *b, const vt_bitset *other) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] |= other->words[i];
}

static void take_away(vt_bitset *b, const vt_bitset *other) {
    for (size_t i = 0; i < words_of(b); i++)
        b->words[i] &= ~other->words[i];
}

static void copy(vt_bitset *b, const vt_bitset *other) {
    if (words_of(b) > 0)
        memcpy(b->words, other->words, words_of(b) * sizeof *b->words);
}

/* Writes a set that is whole. */
static void settle(const selector *s, rest *r) {
    if (r->whole)
        copy(&r->set, &s->columns->live);
    r->whole = false;
}

/* ---- clauses over posting lists --------------------------------------------------------- */

static bool has_lists(const vt_clause *c) {
    return c->kind == VT_CLAUSE_CATEGORY || c->kind == VT_CLAUSE_IDS || c->kind == VT_CLAUSE_TERM;
}

static vt_status find_list(selector *s, const vt_clause *c, const vt_value *v, wanted *w) {
    const vt_postings *p = &s->columns->categories;
    const vt_posting *l;
    vt_status status = VT_OK;
    if (c->kind == VT_CLAUSE_CATEGORY) {
        l = vt_postings_find(p, v->text, strlen(v->text), &w->lists[w->n]);
    } else {
        const char *path = vt_clause_path(c);
        vt_term_key(path, strlen(path), v, &s->key);
        status = vt_buf_status(&s->key, "a filter term", s->err);
        l = status == VT_OK
                ? vt_postings_find(&s->columns->terms, s->key.data, s->key.len, &w->lists[w->n])
                : NULL;
    }
    if (l) {
        w->n++;
        w->work += l->n;
    }
    return status;
}

static vt_status find_lists(selector *s, const vt_clause *c, wanted *w) {
    vt_status status = VT_OK;
    *w = (wanted){0};
    if (c->kind == VT_CLAUSE_RANGE)
        w->work = s->columns->terms.n;
    else if (c->kind == VT_CLAUSE_IDS)
        w->work = c->n_values;
    else
        for (size_t i = 0; i < c->n_values && status == VT_OK; i++)
            status = find_list(s, c, &c->values[i], w);
    return status;
}

static bool in_range(const vt_posting *l, const vt_clause *c, size_t path_len) {
    vt_value v;
    return l->key && vt_term_number(l->key, l->key_len, vt_clause_path(c), path_len, &v) &&
           vt_clause_has(c, &v);
}

static void mark_ids(const vt_columns *columns, const vt_clause *c, vt_bitset *b) {
    uint32_t slot;
    for (size_t i = 0; i < c->n_values; i++)
        if (vt_columns_find(columns, c->values[i].text, &slot))
            vt_bitset_set(b, slot, true);
}

static void mark(const vt_columns *columns, const vt_clause *c, const wanted *w, vt_bitset *b) {
    const vt_postings *p = c->kind == VT_CLAUSE_CATEGORY ? &columns->categories : &columns->terms;
    size_t path_len = c->kind == VT_CLAUSE_RANGE ? strlen(vt_clause_path(c)) : 0;
    if (c->kind == VT_CLAUSE_IDS)
        mark_ids(columns, c, b);
    for (size_t i = 0; c->kind == VT_CLAUSE_RANGE && i < p->n; i++)
        if (in_range(&p->lists[i], c, path_len))
            vt_posting_mark(&p->lists[i], b);
    for (size_t i = 0; i < w->n; i++)
        vt_posting_mark(&p->lists[w->lists[i]], b);
}

static bool is_wanted(const wanted *w, uint32_t list) {
    for (size_t i = 0; i < w->n; i++)
        if (w->lists[i] == list)
            return true;
    return false;
}

static bool slot_has(const vt_columns *columns, const vt_clause *c, const wanted *w, size_t slot) {
    const vt_column_slot *at = &columns->slots[slot];
    size_t path_len;
    if (c->kind == VT_CLAUSE_CATEGORY)
        return is_wanted(w, at->category);
    if (c->kind == VT_CLAUSE_IDS)
        return vt_clause_has(c, &(vt_value){.type = VT_VALUE_TEXT, .text = at->id});
    path_len = strlen(vt_clause_path(c));
    for (size_t i = 0; i < at->n_terms; i++)
        if (c->kind == VT_CLAUSE_TERM ? is_wanted(w, at->terms[i])
                                      : in_range(&columns->terms.lists[at->terms[i]], c, path_len))
            return true;
    return false;
}

static void ask_each(const vt_columns *columns, const vt_clause *c, const wanted *w, vt_bitset *b) {
    for (size_t i = 0; i < words_of(b); i++) {
        for (uint64_t left = b->words[i]; left; left &= left - 1) {
            if (!slot_has(columns, c, w, i * 64 + (size_t)__builtin_ctzll(left)))
                b->words[i] &= ~(left & -left);
        }
    }
}

static vt_status narrow_by_lists(selector *s, const vt_clause *c, rest *r) {
    wanted w;
    vt_status status = find_lists(s, c, &w);
    bool ask = !r->whole && r->at_most < w.work / ASK;
    if (status == VT_OK && !r->whole && !ask)
        status = vt_bitset_resize(&s->mark, r->set.n, s->err);
    if (status != VT_OK)
        return status;
    if (r->whole) {
        vt_bitset_fill(&r->set, false);
        mark(s->columns, c, &w, &r->set);
        r->whole = false;
    } else if (ask) {
        ask_each(s->columns, c, &w, &r->set);
    } else {
        mark(s->columns, c, &w, &s->mark);
        and_and_clear(&r->set, &s->mark);
    }
    if (c->kind != VT_CLAUSE_RANGE && w.work < r->at_most)
        r->at_most = w.work;
    return VT_OK;
}

/* ---- prices ----------------------------------------------------------------------------- */

/* Which of 64 prices are in the range; no price is NAN, which compares as false. */
static uint64_t compare_word(const double *prices, double low, double high) {
    uint64_t bits = 0;
    for (size_t k = 0; k < 64; k++)
        bits |= (uint64_t)((prices[k] >= low) & (prices[k] <= high)) << k;
    return bits;
}

static uint64_t compare_each(const double *prices, uint64_t bits, double low, double high) {
    for (uint64_t left = bits; left; left &= left - 1) {
        double price = prices[__builtin_ctzll(left)];
        if (!(price >= low && price <= high))
            bits &= ~(left & -left);
    }
    return bits;
}

static void narrow_by_prices(const selector *s, double low, double high, rest *r) {
    const double *prices = s->columns->prices;
    settle(s, r);
    for (size_t i = 0; i < words_of(&r->set); i++) {
        uint64_t bits = r->set.words[i];
        bool few = __builtin_popcountll(bits) < PRICES_ASK || i == r->set.n / 64;
        if (few) /* also the last word, whose 64 are not all there */
            r->set.words[i] = compare_each(prices + i * 64, bits, low, high);
        else
            r->set.words[i] = bits & compare_word(prices + i * 64, low, high);
    }
}

/* ---- filters of filters ----------------------------------------------------------------- */

static vt_status rest_copy(const selector *s, const rest *r, rest *out) {
    *out = (rest){.whole = r->whole, .at_most = r->at_most};
    vt_status status = vt_bitset_resize(&out->set, r->set.n, s->err);
    if (status == VT_OK && !r->whole)
        copy(&out->set, &r->set);
    return status;
}

static vt_status narrow_by_or(selector *s, const vt_clause *c, rest *r) {
    vt_bitset any;
    size_t at_most = 0;
    vt_status status;
    vt_bitset_init(&any);
    status = vt_bitset_resize(&any, r->set.n, s->err);
    for (size_t i = 0; i < c->n_filters && status == VT_OK; i++) {
        rest one;
        status = rest_copy(s, r, &one);
        if (status == VT_OK)
            status = narrow(s, &c->filters[i], &one);
        if (status == VT_OK) {
            settle(s, &one);
            add(&any, &one.set);
            at_most += one.at_most;
        }
        vt_bitset_release(&one.set);
    }
    if (status == VT_OK)
        copy(&r->set, &any);
    vt_bitset_release(&any);
    r->whole = false;
    r->at_most = at_most < r->at_most ? at_most : r->at_most;
    return status;
}

static vt_status narrow_by_not(selector *s, const vt_clause *c, rest *r) {
    rest gone;
    vt_status status = rest_copy(s, r, &gone);
    if (status == VT_OK)
        status = narrow(s, &c->filters[0], &gone);
    if (status == VT_OK) {
        settle(s, &gone);
        settle(s, r);
        take_away(&r->set, &gone.set);
    }
    vt_bitset_release(&gone.set);
    return status;
}

/* ---- conjunctions ----------------------------------------------------------------------- */

static vt_status bound_of(selector *s, const vt_clause *c, size_t *at_most);

/* The clause that leaves the fewest slots, by what its lists' lengths say; f->n where none does. */
static vt_status most_selective(selector *s, const vt_filter *f, size_t *first, size_t *at_most) {
    vt_status status = VT_OK;
    *first = f->n;
    *at_most = s->columns->ids.n;
    for (size_t i = 0; i < f->n && status == VT_OK; i++) {
        size_t bound;
        status = bound_of(s, &f->clauses[i], &bound);
        if (status == VT_OK && bound < *at_most) {
            *first = i;
            *at_most = bound;
        }
    }
    return status;
}

static vt_status bound_of(selector *s, const vt_clause *c, size_t *at_most) {
    wanted w;
    vt_status status = VT_OK;
    *at_most = s->columns->ids.n;
    if (has_lists(c)) {
        status = find_lists(s, c, &w);
        *at_most = w.work;
    } else if (c->kind == VT_CLAUSE_OR) {
        *at_most = 0;
        for (size_t i = 0; i < c->n_filters && status == VT_OK; i++) {
            size_t first, bound = 0;
            status = most_selective(s, &c->filters[i], &first, &bound);
            *at_most += bound;
        }
    }
    return status;
}

static vt_status narrow_by(selector *s, const vt_clause *c, rest *r) {
    switch (c->kind) {
    case VT_CLAUSE_CATEGORY:
    case VT_CLAUSE_IDS:
    case VT_CLAUSE_TERM:
    case VT_CLAUSE_RANGE:
        return narrow_by_lists(s, c, r);
    case VT_CLAUSE_OR:
        return narrow_by_or(s, c, r);
    case VT_CLAUSE_NOT:
        return narrow_by_not(s, c, r);
    case VT_CLAUSE_PRICE_MIN:
    case VT_CLAUSE_PRICE_MAX:
        break; /* all at once, below */
    }
    return VT_OK;
}

static void narrow_by_all_prices(const selector *s, const vt_filter *f, rest *r) {
    double low = -INFINITY, high = INFINITY;
    for (size_t i = 0; i < f->n; i++) {
        const vt_clause *c = &f->clauses[i];
        if (c->kind == VT_CLAUSE_PRICE_MIN)
            low = fmax(low, c->price);
        else if (c->kind == VT_CLAUSE_PRICE_MAX)
            high = fmin(high, c->price);
    }
    if (low > -INFINITY || high < INFINITY)
        narrow_by_prices(s, low, high, r);
}

/* Leaves of r what f matches. */
static vt_status narrow(selector *s, const vt_filter *f, rest *r) {
    size_t first, at_most;
    vt_status status = most_selective(s, f, &first, &at_most);
    if (status == VT_OK && first < f->n)
        status = narrow_by(s, &f->clauses[first], r);
    for (size_t i = 0; i < f->n && status == VT_OK; i++)
        if (i != first && has_lists(&f->clauses[i]))
            status = narrow_by(s, &f->clauses[i], r);
    if (status == VT_OK)
        narrow_by_all_prices(s, f, r);
    for (size_t i = 0; i < f->n && status == VT_OK; i++)
        if (i != first && !has_lists(&f->clauses[i]))
            status = narrow_by(s, &f->clauses[i], r);
    return status;
}

vt_status vt_columns_select(const vt_columns *c, const vt_filter *f, vt_bitset *b, vt_err *err) {
    selector s = {.columns = c, .err = err};
    rest r = {.whole = true, .at_most = c->ids.n};
    vt_status status = vt_bitset_resize(b, c->n, err);
    if (status != VT_OK)
        return status;
    r.set = *b;
    vt_bitset_init(&s.mark);
    vt_buf_init(&s.key, VT_TERM_KEY_MAX);
    if (!vt_filter_is_empty(f))
        status = narrow(&s, f, &r);
    if (status == VT_OK)
        settle(&s, &r);
    vt_bitset_release(&s.mark);
    vt_buf_release(&s.key);
    return status;
}
