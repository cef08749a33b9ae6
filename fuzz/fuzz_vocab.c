/* vocab.json and merges.txt of any bytes, parted by a line of "====": refused with a text, or good
 * enough to encode with. */
#include "clip/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char line[] = "====\n", text[] = "the red shoes, 42";
    const uint8_t *cut = memmem(data, size, line, sizeof line - 1);
    const size_t n = cut ? (size_t)(cut - data) : size;
    const size_t after = cut ? n + sizeof line - 1 : size;
    vt_buf vocab, merges;
    vt_vocab v;
    uint32_t ids[77];
    size_t n_ids;
    vt_err err;
    vt_buf_init(&vocab, 1 << 24);
    vt_buf_init(&merges, 1 << 24);
    vt_buf_append(&vocab, data, n);
    vt_buf_append(&merges, data + after, size - after);
    if (vt_vocab_init(&v, &vocab, &merges, 4096, &err) == VT_OK) {
        if (vt_tokenizer_encode(&v, text, sizeof text - 1, ids, 77, &n_ids, &err) != VT_OK)
            abort();
        for (size_t i = 0; i < n_ids; i++)
            if (ids[i] >= 4096)
                abort();
    } else if (!err.text[0]) {
        abort();
    }
    vt_vocab_release(&v);
    vt_buf_release(&vocab);
    vt_buf_release(&merges);
    return 0;
}
