/* WebP, by libwebp: lossy, lossless, with alpha; of an animation the first frame.
 *
 * The container is always read by the demuxer, which makes a still picture an animation of one
 * frame: libwebp's own decoder knows no animations, and the library's WebPAnimDecoder keeps two
 * whole RGBA canvases for what one frame does not need. The frame is decoded straight into its
 * place on the canvas; the rest of the canvas stays black and transparent, as Pillow leaves it. */
#include <webp/decode.h>
#include <webp/demux.h>

#include "image/internal.h"

static vt_status webp_fail(VP8StatusCode code, vt_err *err) {
    switch (code) {
    case VP8_STATUS_OUT_OF_MEMORY:
        return vt_fail(err, VT_E_NOMEM, "webp image: no memory for the decoder");
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return vt_fail(err, VT_E_UNSUPPORTED, "webp image: it uses a feature we do not read");
    case VP8_STATUS_NOT_ENOUGH_DATA:
        return vt_fail(err, VT_E_IMAGE, "webp image: truncated");
    default:
        return vt_fail(err, VT_E_IMAGE, "webp image: broken");
    }
}

static vt_status decode_frame(const WebPIterator *frame, vt_image *out, vt_err *err) {
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return vt_fail(err, VT_E_INTERNAL, "webp image: the library is of another version");
    VP8StatusCode code =
        WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input);
    if (code != VP8_STATUS_OK)
        return webp_fail(code, err);
    /* The demuxer has checked that the frame lies on the canvas, by the frame's header; what is
     * written follows the bitstream's. */
    if (config.input.width != frame->width || config.input.height != frame->height)
        return vt_fail(err, VT_E_IMAGE, "webp image: the frame and its data differ in size");
    size_t size = vt_pixel_bytes(out->format);
    size_t first = ((size_t)frame->y_offset * out->width + (size_t)frame->x_offset) * size;
    config.output.colorspace = out->format == VT_PIXEL_RGBA ? MODE_RGBA : MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = out->pixels + first;
    config.output.u.RGBA.stride = (int)(out->width * size);
    config.output.u.RGBA.size = (size_t)out->width * out->height * size - first;
    code = WebPDecode(frame->fragment.bytes, frame->fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    return code == VP8_STATUS_OK ? VT_OK : webp_fail(code, err);
}

vt_status vt_webp_decode(const uint8_t *bytes, size_t len, vt_image *out, vt_err *err) {
    vt_status s = VT_OK;
    WebPIterator frame = {0};
    WebPDemuxer *demuxer = WebPDemux(&(WebPData){.bytes = bytes, .size = len});
    if (demuxer == NULL)
        return vt_fail(err, VT_E_IMAGE, "webp image: broken or truncated container");
    bool alpha = (WebPDemuxGetI(demuxer, WEBP_FF_FORMAT_FLAGS) & ALPHA_FLAG) != 0;
    s = vt_image_alloc(out, "webp", alpha ? VT_PIXEL_RGBA : VT_PIXEL_RGB,
                       WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                       WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), err);
    if (s != VT_OK)
        goto done;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) {
        s = vt_fail(err, VT_E_IMAGE, "webp image: there is no picture in it");
        goto done;
    }
    s = decode_frame(&frame, out, err);
done:
    WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demuxer);
    return s;
}
