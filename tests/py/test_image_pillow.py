#!/usr/bin/env python3
"""The image room against Pillow: files of every kind, made here from a fixed seed, must give the
same crops, byte for byte, in both orders of preprocessing.

    test_image_pillow.py CROP_TOOL [ROUNDS]

Files that Pillow cannot write (16-bit and interlaced PNG, moved GIF frames, most BMPs, odd JPEG
chroma) are written or patched by hand. Skips (exit 77) where Pillow is missing. Pillow's versions
differ in what they make of palettes and 16-bit grey; the reference is that of Debian 12, 9.x.
"""
import io
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

try:
    import PIL
    from PIL import Image, ImageDraw, ImageFile
except ImportError:
    print("skipped: Pillow is not installed")
    sys.exit(77)
if not PIL.__version__.startswith("9."):
    print("skipped: the reference is Pillow 9, this is " + PIL.__version__)
    sys.exit(77)

rng = random.Random(20240229)


def scene(w, h):
    """A gradient, edges in every direction and a little noise."""
    im = Image.merge("RGB", [Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270)))
                             .resize((w, h)) for _ in range(3)])
    draw = ImageDraw.Draw(im)
    for _ in range(8):
        left, right = sorted(rng.randrange(w + 1) for _ in range(2))
        top, bottom = sorted(rng.randrange(h + 1) for _ in range(2))
        colour = tuple(rng.randrange(256) for _ in range(3))
        rng.choice((draw.ellipse, draw.rectangle, draw.line))([left, top, right, bottom], fill=colour)
    if rng.random() < 0.3:
        noise = Image.frombytes("RGB", (w, h), rng.randbytes(w * h * 3))
        im = Image.blend(im, noise, 0.3)
    return im


def with_alpha(im):
    alpha = Image.radial_gradient("L").resize(im.size).point(lambda v: min(255, max(0, 2 * v - 100)))
    im = im.convert("RGBA")
    im.putalpha(alpha)
    return im


def saved(im, kind, **options):
    out = io.BytesIO()
    im.save(out, kind, **options)
    return out.getvalue()


# ---- PNG ---------------------------------------------------------------------------------------

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def png_of_samples(w, h, depth, kind, interlaced):
    """Random samples of any depth and colour type, filter 0."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    smooth = rng.random() < 0.5

    def line(n):
        size = (n * channels * depth + 7) // 8
        return b"\0" + (bytes(min(255, i * 256 // size) for i in range(size)) if smooth else rng.randbytes(size))

    raw = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else ((0, 0, 1, 1),):
        n, rows = (w - x0 + dx - 1) // dx, (h - y0 + dy - 1) // dy
        if n > 0:
            raw += b"".join(line(n) for _ in range(rows))
    extra = b""
    if kind == 3:
        colours = rng.choice((1 << depth, max(2, (1 << depth) - 3)))
        extra += chunk(b"PLTE", rng.randbytes(3 * colours))
        if rng.random() < 0.5:
            extra += chunk(b"tRNS", rng.randbytes(colours))
    elif kind in (0, 2) and rng.random() < 0.3:
        extra += chunk(b"tRNS", b"\0\1" * channels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlaced))
            + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def png_files(w, h):
    for kind, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (3, (1, 2, 4, 8)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            yield f"png kind {kind} depth {depth}", png_of_samples(w, h, depth, kind, rng.randrange(2))
    im = scene(w, h)
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        yield f"png {mode}", saved((with_alpha(im) if "A" in mode else im).convert(mode), "PNG")


# ---- JPEG --------------------------------------------------------------------------------------

def patched(data, old, new):
    at = data.index(old)
    return data[:at] + new + data[at + len(old):]


def jpeg_odd_chroma(w, h):
    """4:4:0, 4:1:1 and its upright twin: the blocks of a 4:2:2 or 4:2:0 file in another order."""
    a, b = (w + 15) // 16, (h + 15) // 16
    for subsampling, factors, new_w, new_h in ((1, 0x12, 8 * a, 16 * b), (2, 0x41, 32 * a, 8 * b),
                                               (2, 0x14, 8 * a, 32 * b)):
        old_h = 8 * b if subsampling == 1 else 16 * b
        data = saved(scene(16 * a, old_h), "JPEG", subsampling=subsampling)
        old = struct.pack(">HHBBB", old_h, 16 * a, 3, 1, 0x21 if subsampling == 1 else 0x22)
        cut = rng.randrange(7)
        yield f"jpeg chroma {factors:02x}", patched(
            data, old, struct.pack(">HHBBB", new_h - cut, new_w - cut, 3, 1, factors))


def jpeg_files(w, h):
    im = scene(w, h)
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            yield f"jpeg {mode} progressive {progressive}", saved(
                im.convert(mode), "JPEG", quality=rng.randrange(5, 100), subsampling=rng.randrange(3),
                progressive=progressive)
    cmyk = saved(im.convert("CMYK"), "JPEG")
    yield "jpeg YCCK", patched(cmyk, b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0",
                               b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\2")
    rgb = saved(im, "JPEG", subsampling=0)
    yield "jpeg Adobe RGB", rgb[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + rgb[20:]
    yield "jpeg with bytes before the end", rgb[:-2] + b"\0\0\0" + rgb[-2:]
    yield from jpeg_odd_chroma(w, h)


# ---- WebP and GIF ------------------------------------------------------------------------------

def webp_files(w, h):
    im = scene(w, h)
    yield "webp lossy", saved(im, "WEBP", quality=rng.randrange(100))
    yield "webp lossless", saved(im, "WEBP", lossless=True)
    yield "webp lossy alpha", saved(with_alpha(im), "WEBP", quality=rng.randrange(100))
    yield "webp lossless alpha", saved(with_alpha(im), "WEBP", lossless=True, exact=True)
    for frames in ([im, scene(w, h)], [with_alpha(im), im.convert("RGBA")]):
        yield "webp animated", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:],
                                     lossless=rng.random() < 0.5)


def gif_moved(data, w, h):
    """The frame elsewhere on a larger, or beyond a smaller, canvas."""
    at = data.index(b",\0\0\0\0" + struct.pack("<HH", w, h))
    left, top = rng.randrange(20), rng.randrange(20)
    screen = struct.pack("<HH", max(1, w + rng.randrange(-9, 30)), max(1, h + rng.randrange(-9, 30)))
    return data[:6] + screen + data[10:at + 1] + struct.pack("<HH", left, top) + data[at + 5:]


def gif_local_palette(data, w, h):
    """The global palette becomes the frame's, and another one becomes global."""
    size = 3 << ((data[10] & 7) + 1)
    at = data.index(b",\0\0\0\0" + struct.pack("<HH", w, h))
    flags = data[at + 9] | 0x80 | (data[10] & 7)
    return (data[:13] + rng.randbytes(size) + data[13 + size:at + 9] + bytes([flags]) + data[13:13 + size]
            + data[at + 10:])


def gif_files(w, h):
    im = scene(w, h)
    grey = im.convert("L")
    few = im.quantize(rng.choice((2, 7, 64, 256)))
    for interlace in (0, 1):
        plain = saved(few, "GIF", interlace=interlace, optimize=False)
        yield f"gif interlace {interlace}", plain
        yield "gif moved", gif_moved(plain, w, h)
        yield "gif local palette", gif_moved(gif_local_palette(plain, w, h), w, h)
        yield "gif transparent", gif_moved(saved(few, "GIF", interlace=interlace, transparency=1), w, h)
        yield "gif grey", saved(grey, "GIF", interlace=interlace, optimize=False)
    yield "gif bilevel", saved(im.convert("1"), "GIF")
    yield "gif animated", saved(few, "GIF", save_all=True, append_images=[scene(w, h).quantize(16)])


# ---- BMP ---------------------------------------------------------------------------------------

def bmp_header(size, w, h, bits, compression=0, colours=0, masks=()):
    if size == 12:
        return struct.pack("<IHHHH", 12, w, h, 1, bits)
    head = struct.pack("<IiiHHIIIIII", size, w, h, 1, bits, compression, 0, 2835, 2835, colours, 0)
    return (head + b"".join(struct.pack("<I", m) for m in masks)).ljust(max(size, len(head) + 4 * len(masks)), b"\0")


def bmp_file(header, palette, pixels):
    offset = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + header + palette + pixels


def bmp_rows(w, h, bits):
    return b"".join(rng.randbytes((w * bits + 7) // 8).ljust((w * bits + 31) // 32 * 4, b"\0") for _ in range(h))


def bmp_rle8(w, h):
    """Runs and literals, the rows ended by code."""
    out = b""
    for _ in range(h):
        x = 0
        while x < w:
            n = min(w - x, rng.randrange(1, 60))
            if n >= 3 and rng.random() < 0.5:
                out += bytes([0, n]) + rng.randbytes(n) + b"\0" * (n % 2)
            else:
                out += bytes([n, rng.randrange(256)])
            x += n
        out += b"\0\0"
    return out + b"\0\1"


def bmp_rle4(w, h):
    return b"".join(b"".join(bytes([min(w - x, 9), rng.randrange(256)]) for x in range(0, w, 9)) + b"\0\0"
                    for _ in range(h)) + b"\0\1"


def bmp_files(w, h):
    im = scene(w, h)
    for mode in ("1", "L", "P", "RGB"):
        yield f"bmp {mode}", saved(im.convert(mode), "BMP")
    yield "bmp RGBA", saved(with_alpha(im), "BMP")
    for bits in (1, 4, 8):
        yield f"bmp {bits} bits", bmp_file(bmp_header(40, w, h, bits), rng.randbytes(4 << bits), bmp_rows(w, h, bits))
    for bits in (16, 24, 32):
        yield f"bmp {bits} bits top-down", bmp_file(bmp_header(40, w, -h, bits), b"", bmp_rows(w, h, bits))
    yield "bmp OS/2", bmp_file(bmp_header(12, w, h, 24), b"", bmp_rows(w, h, 24))
    yield "bmp OS/2 palette", bmp_file(bmp_header(12, w, h, 8), rng.randbytes(768), bmp_rows(w, h, 8))
    for size, bits, masks in ((40, 16, (0xF800, 0x7E0, 0x1F)), (40, 16, (0x7C00, 0x3E0, 0x1F)),
                              (124, 32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
                              (108, 32, (0xFF000000, 0xFF0000, 0xFF00, 0)),
                              (108, 32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), (108, 32, (0, 0, 0, 0))):
        yield f"bmp masks {masks}", bmp_file(bmp_header(size, w, h, bits, 3, 0, masks), b"", bmp_rows(w, h, bits))
    yield "bmp RLE8", bmp_file(bmp_header(40, w, h, 8, 1), rng.randbytes(1024), bmp_rle8(w, h))
    yield "bmp RLE4", bmp_file(bmp_header(40, w, h, 4, 2), rng.randbytes(64), bmp_rle4(w, h))


# ---- the reference -----------------------------------------------------------------------------

def pillow_crop(data, variant, resize, crop):
    im = Image.open(io.BytesIO(data))
    if variant == "hf":
        im = im.convert("RGB")
    w, h = im.size
    if min(w, h) != resize or variant == "hf":
        size = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
        if size[0] * size[1] > 30_000_000:
            return None  # Pillow would make the whole of it
        im = im.resize(size, Image.BICUBIC)
    w, h = im.size
    half = (lambda v: int(round(v / 2))) if variant == "openai" else (lambda v: v // 2)
    left, top = half(w - crop), half(h - crop)
    return im.crop((left, top, left + crop, top + crop)).convert("RGB").tobytes()


def our_crops(tool, variant, resize, crop, paths):
    out = subprocess.run([tool, variant, str(resize), str(crop)] + paths, stdout=subprocess.PIPE,
                         check=True).stdout
    at, size = 0, crop * crop * 3
    for _ in paths:
        end = out.index(b"\n", at)
        line, at = out[at:end].decode(), end + 1
        if line == "ok":
            yield line, out[at:at + size]
            at += size
        else:
            yield line, None


FILES = {"png": png_files, "jpeg": jpeg_files, "webp": webp_files, "gif": gif_files, "bmp": bmp_files}


def side():
    return rng.choice((rng.randrange(1, 12), rng.randrange(12, 300), rng.randrange(12, 300), 32, 224))


def compare_round(tool, folder):
    """One picture size, all kinds of files; returns (compared, list of differences)."""
    w, h = side(), side()
    files = [f for kind in FILES.values() for f in kind(w, h)]
    paths = []
    for i, (_, data) in enumerate(files):
        paths.append(os.path.join(folder, str(i)))
        with open(paths[-1], "wb") as f:
            f.write(data)
    compared, wrong = 0, []
    for variant in ("openai", "hf"):
        resize = rng.choice((32, 33, 64, 224))
        crop = rng.choice((resize, max(1, resize - rng.randrange(9))))
        for (name, data), (line, rgb) in zip(files, our_crops(tool, variant, resize, crop, paths)):
            want = pillow_crop(data, variant, resize, crop)
            if want is None:
                continue
            compared += 1
            if rgb is None:
                wrong.append(f"{name} {w}x{h} {variant}: {line}")
            elif rgb != want:
                most = max(abs(a - b) for a, b in zip(rgb, want))
                wrong.append(f"{name} {w}x{h} {variant} {resize}/{crop}: differs by up to {most}")
    return compared, wrong


def main():
    tool = sys.argv[1]
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    Image.MAX_IMAGE_PIXELS = None
    ImageFile.MAXBLOCK = 1 << 22  # a noisy JPEG does not fit the default buffer of its writer
    compared, wrong = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            n, bad = compare_round(tool, folder)
            compared += n
            wrong += bad
    for line in wrong:
        print(line)
    print(f"{compared} crops compared with Pillow {PIL.__version__}, {len(wrong)} differ")
    return 1 if wrong or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
