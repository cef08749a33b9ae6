/* JPEG, by libturbojpeg: baseline and progressive, 1, 3 or 4 components.
 *
 * The library is asked for what Pillow asks libjpeg for: the exact integer DCT, the smooth
 * ("fancy") upsampling of chroma, grey kept grey, CMYK and YCCK kept CMYK, the colour space guessed
 * from the Adobe and JFIF markers. CMYK is inverted, as Pillow does whatever the Adobe marker says:
 * the files found in the wild are Photoshop's.
 *
 * Before that we walk the markers ourselves, for three things the TurboJPEG API does not give:
 * the frame's size for files whose chroma sampling has no TJSAMP_ name (tjDecompressHeader3 refuses
 * those, though they decode), the number of scans before any is decoded, and whether the
 * end-of-image marker is there. Without the last a cut file would decode to a picture with a grey
 * lower half. Rejected: the plain libjpeg API (setjmp in every function for the same pixels), and
 * TJFLAG_STOPONWARNING (it refuses files with a harmless oddity that every viewer shows). */
#include <turbojpeg.h>

#include "image/internal.h"

/* A scan costs a pass over all coefficients though it may be 10 bytes long, so a small progressive
 * file can ask for minutes. Encoders write about 10 scans; one that sends every band of every
 * component alone stays under 100. The product keeps the passes near a second. */
#define JPEG_MAX_SCANS       100u
#define JPEG_MAX_SCAN_PIXELS UINT64_C(1000000000)

typedef struct jpeg_frame {
    uint32_t width, height;
    unsigned precision, components, scans;
} jpeg_frame;

enum { M_TEM = 0x01, M_SOF0 = 0xC0, M_DHT = 0xC4, M_JPG = 0xC8, M_DAC = 0xCC, M_SOF15 = 0xCF };
enum { M_RST0 = 0xD0, M_RST7 = 0xD7, M_SOI = 0xD8, M_EOI = 0xD9, M_SOS = 0xDA };

/* The next marker from *at on, past which *at is moved; 0 at the end of the bytes. Entropy-coded
 * data is skipped as libjpeg skips it: there FF is always followed by 00 or is a marker. */
static uint8_t next_marker(const uint8_t *bytes, size_t len, size_t *at) {
    while (*at < len) {
        const uint8_t *ff = memchr(bytes + *at, 0xFF, len - *at);
        size_t i = ff != NULL ? (size_t)(ff - bytes) : len;
        while (i < len && bytes[i] == 0xFF)
            i++;
        *at = i < len ? i + 1 : len;
        if (i < len && bytes[i] != 0)
            return bytes[i];
    }
    return 0;
}

static bool is_frame_marker(uint8_t m) {
    return m >= M_SOF0 && m <= M_SOF15 && m != M_DHT && m != M_JPG && m != M_DAC;
}

static bool stands_alone(uint8_t m) {
    return m == M_TEM || (m >= M_RST0 && m <= M_RST7);
}

static unsigned be16(const uint8_t *p) {
    return (unsigned)p[0] << 8 | p[1];
}

/* Length of the segment at p with its own two bytes; 0 where it does not fit into n bytes. */
static size_t segment_length(const uint8_t *p, size_t n) {
    size_t length = n >= 2 ? be16(p) : 0;
    return length >= 2 && length <= n ? length : 0;
}

static vt_status read_frame(const uint8_t *segment, size_t length, jpeg_frame *f, vt_err *err) {
    if (f->components != 0)
        return vt_fail(err, VT_E_IMAGE, "jpeg image: it has two frames");
    if (length < 8)
        return vt_fail(err, VT_E_IMAGE, "jpeg image: the frame header is %zu bytes long", length);
    f->precision = segment[2];
    f->height = be16(segment + 3);
    f->width = be16(segment + 5);
    f->components = segment[7];
    if (f->precision != 8)
        return vt_fail(err, VT_E_UNSUPPORTED, "jpeg image: %u bits a sample, only 8 are read",
                       f->precision);
    if (f->components != 1 && f->components != 3 && f->components != 4)
        return vt_fail(err, VT_E_UNSUPPORTED,
                       "jpeg image: %u colour components, only 1, 3 and 4 are read", f->components);
    return vt_image_check_size("jpeg", f->width, f->height, err);
}

static vt_status check_scans(const jpeg_frame *f, vt_err *err) {
    uint64_t pixels = (uint64_t)f->width * f->height;
    if (f->scans > JPEG_MAX_SCANS)
        return vt_fail(err, VT_E_TOO_LARGE, "jpeg image: %u scans, at most %u are accepted",
                       f->scans, JPEG_MAX_SCANS);
    if (f->scans * pixels > JPEG_MAX_SCAN_PIXELS)
        return vt_fail(err, VT_E_TOO_LARGE,
                       "jpeg image: %u scans of %ju pixels, at most %ju in all are accepted",
                       f->scans, (uintmax_t)pixels, (uintmax_t)JPEG_MAX_SCAN_PIXELS);
    return VT_OK;
}

/* Walks from the start-of-image to the end-of-image marker. */
static vt_status read_markers(const uint8_t *bytes, size_t len, jpeg_frame *f, vt_err *err) {
    size_t at = 2;
    for (;;) {
        uint8_t m = next_marker(bytes, len, &at);
        if (m == M_EOI)
            break;
        if (m == 0)
            return vt_fail(err, VT_E_IMAGE,
                           "jpeg image: truncated, the end-of-image marker is missing");
        if (stands_alone(m))
            continue;
        size_t length = segment_length(bytes + at, len - at);
        if (m == M_SOI || length == 0)
            return vt_fail(err, VT_E_IMAGE, "jpeg image: broken or truncated at byte %zu", at);
        if (is_frame_marker(m)) {
            vt_status s = read_frame(bytes + at, length, f, err);
            if (s != VT_OK)
                return s;
        }
        f->scans += m == M_SOS;
        at += length;
    }
    if (f->components == 0 || f->scans == 0)
        return vt_fail(err, VT_E_IMAGE, "jpeg image: there is no picture in it");
    return check_scans(f, err);
}

/* libjpeg warns and goes on. Only these warnings leave the picture whole; after the others
 * ("premature end of data segment", "bad Huffman code") a part of it is invented. */
static bool is_harmless(const char *warning) {
    static const char *const harmless[] = {
        "extraneous bytes before marker",
        "Invalid SOS parameters for sequential JPEG",
        "unknown JFIF revision number",
        "Unknown Adobe color transform code",
    };
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (strstr(warning, harmless[i]) != NULL)
            return true;
    return false;
}

static vt_status decode_frame(const uint8_t *bytes, size_t len, int tj_format, vt_image *out,
                              vt_err *err) {
    vt_status s = VT_OK;
    tjhandle tj = tjInitDecompress();
    if (tj == NULL)
        return vt_fail(err, VT_E_NOMEM, "jpeg image: no memory for the decoder");
    int row_bytes = (int)(out->width * vt_pixel_bytes(out->format));
    int rc = tjDecompress2(tj, bytes, len, out->pixels, (int)out->width, row_bytes,
                           (int)out->height, tj_format, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
    if (rc != 0) {
        const char *why = tjGetErrorStr2(tj);
        if (strstr(why, "Insufficient memory") != NULL)
            s = vt_fail(err, VT_E_NOMEM, "jpeg image: %s", why);
        else if (tjGetErrorCode(tj) != TJERR_WARNING || !is_harmless(why))
            s = vt_fail(err, VT_E_IMAGE, "jpeg image: %s", why);
    }
    tjDestroy(tj);
    return s;
}

static void invert(uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(255 - bytes[i]);
}

vt_status vt_jpeg_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    jpeg_frame f = {0};
    vt_status s = read_markers(bytes, len, &f, err);
    if (s != VT_OK)
        return s;
    vt_pixel_format format = f.components == 1   ? VT_PIXEL_GRAY
                             : f.components == 3 ? VT_PIXEL_RGB
                                                 : VT_PIXEL_CMYK;
    int tj_format = f.components == 1 ? TJPF_GRAY : f.components == 3 ? TJPF_RGB : TJPF_CMYK;
    s = vt_image_alloc_unset(out, "jpeg", format, f.width, f.height, err);
    if (s == VT_OK)
        s = decode_frame(bytes, len, tj_format, out, err);
    if (s == VT_OK && format == VT_PIXEL_CMYK)
        invert(out->pixels, (size_t)out->width * out->height * 4);
    return s;
}
