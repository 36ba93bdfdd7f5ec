// Image codecs and resampling for ZooImage.
//
// Shims around libjpeg and libpng. Both libraries report errors by longjmp; every jump starts and ends inside one
// function of this target, so none ever crosses a Swift frame. Nothing here prints, and no state is global.
//
// Images are rows of `3 * width` bytes, red green blue, top row first.
#ifndef CIMAGESHIM_H
#define CIMAGESHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What went wrong. Values are stable only within one build.
typedef enum cis_code {
    CIS_OK = 0,

    // Both formats.
    CIS_NO_MEMORY,
    CIS_TOO_MANY_PIXELS,    // width * height exceeds cis_limits.max_pixels, or a side 65500 (JPEG), 1000000 (PNG)
    CIS_TOO_MUCH_MEMORY,    // decoding would hold more than cis_limits.max_bytes
    CIS_TRUNCATED_HEADER,   // the file ends before its pixel data begin
    CIS_TRUNCATED_DATA,     // warning: the file ends inside its pixel data
    CIS_CORRUPT_DATA,       // JPEG: warning, the decoder went on; PNG: error or warning, by the message

    // JPEG.
    CIS_JPEG_EMPTY,                 // a side of zero pixels
    CIS_JPEG_TOO_MANY_SCANS,        // more than cis_limits.max_scans
    CIS_JPEG_UNSUPPORTED_FRAME,     // lossless, hierarchical, or not 8 bits per sample
    CIS_JPEG_COMPONENTS,            // component count or identifiers
    CIS_JPEG_SEGMENT_LENGTH,        // a marker segment's length does not fit its content
    CIS_JPEG_DUPLICATE_MARKER,      // a second SOI or SOF
    CIS_JPEG_MISSING_FRAME,         // a scan, or the end, before any frame header
    CIS_JPEG_MISSING_SCAN,          // a frame header without a scan
    CIS_JPEG_UNKNOWN_MARKER,
    CIS_JPEG_HUFFMAN_TABLE,         // ill-formed or missing
    CIS_JPEG_QUANTIZATION_TABLE,    // ill-formed or missing
    CIS_JPEG_ARITHMETIC_TABLE,      // ill-formed conditioning
    CIS_JPEG_SAMPLING,              // sampling factors
    CIS_JPEG_PROGRESSION,           // impossible spectral selection or successive approximation
    CIS_JPEG_OTHER,

    // PNG.
    CIS_PNG_HEADER,             // IHDR: missing, wrong length, or impossible values
    CIS_PNG_CHUNK_ORDER,        // out of place, duplicate, or missing chunk
    CIS_PNG_CHUNK_NAME,         // not four letters, or critical and unknown
    CIS_PNG_CHUNK_LENGTH,
    CIS_PNG_PALETTE,            // missing or ill-formed PLTE
    CIS_PNG_CRC,                // error before the pixel data, a warning inside them
    CIS_PNG_MISSING_DATA,       // the compressed stream holds fewer rows than the header claims
    CIS_PNG_OTHER,
} cis_code;

// A code and, for a human reader, the library's own words.
typedef struct cis_report {
    cis_code code;
    char message[120];
} cis_report;

typedef struct cis_limits {
    uint64_t max_pixels;
    uint64_t max_bytes;
    uint32_t max_scans;
} cis_limits;

// How the file stores its pixels, in Pillow's terms.
typedef enum cis_mode {
    CIS_MODE_BILEVEL,
    CIS_MODE_GREY,
    CIS_MODE_GREY16,
    CIS_MODE_GREY_ALPHA,
    CIS_MODE_PALETTE,
    CIS_MODE_RGB,
    CIS_MODE_RGBA,
    CIS_MODE_CMYK,
} cis_mode;

typedef struct cis_header {
    uint32_t width;
    uint32_t height;
    cis_mode mode;
} cis_header;

// A decoder that hands out one RGB row after the other.
typedef struct cis_reader cis_reader;

// Read everything up to the pixel data. `data` must outlive the reader and is never written.
// Returns NULL and fills `report` on failure.
//
// JPEG: accurate DCT, fancy upsampling; CMYK and YCCK become RGB by Pillow's formula.
// PNG: row interface only; ancillary chunks are skipped unread; alpha is dropped, not composited; samples of 16 bits
// become 8 by rounding (grey) or by their high byte (colour, grey with alpha), as in the golden cases and Pillow.
cis_reader *cis_jpeg_open(const uint8_t *data, size_t size, cis_limits limits, cis_header *header, cis_report *report);
cis_reader *cis_png_open(const uint8_t *data, size_t size, cis_limits limits, cis_header *header, cis_report *report);

// Write the next row, `3 * width` bytes. Must not be called more than `height` times.
// Progressive JPEG and interlaced PNG decode the whole image on the first call.
cis_code cis_reader_next_row(cis_reader *reader, uint8_t *row, cis_report *report);

// Read what follows the last row; all rows must have been read. Defects here are warnings.
void cis_reader_finish(cis_reader *reader);

// The gravest warning so far; its code is CIS_OK if there was none.
cis_report cis_reader_warning(const cis_reader *reader);

void cis_reader_close(cis_reader *reader);

// A growing byte buffer that the writers fill. Release with cis_bytes_free.
typedef struct cis_bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
} cis_bytes;

void cis_bytes_free(cis_bytes *bytes);

// One text entry of a PNG: keyword of 1 to 79 Latin-1 characters, text in UTF-8 when `utf8` (iTXt), else Latin-1
// (tEXt).
typedef struct cis_text {
    const char *keyword;
    const char *text;
    bool utf8;
} cis_text;

// Compress `height` rows of `width * channels` bytes; channels is 1 (grey) or 3 (RGB).
cis_code cis_png_write(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, const cis_text *texts,
                       size_t text_count, cis_bytes *out, cis_report *report);

// `quality` 1...100; `subsample` halves the chroma resolution on both axes (4:2:0), else 4:4:4.
cis_code cis_jpeg_write(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality,
                        bool subsample, cis_bytes *out, cis_report *report);

// Resampling in fixed point with 22 fractional bits, bit for bit as Pillow does it on 8-bit samples:
//     out = clip8((2^21 + sum_t weight[t] * in[t]) >> 22)

// One output row of `count` RGB pixels. Pixel i takes `taps[i]` input pixels from `first[i]` on, with the weights at
// `weights + i * stride`. `in` must be readable for one byte beyond the last pixel used.
void cis_resample_row(const uint8_t *in, size_t count, const int32_t *first, const int32_t *taps,
                      const int32_t *weights, size_t stride, uint8_t *out);

// One output row from `taps` input rows of `bytes` bytes each, kept in a ring of `capacity` rows: tap t is ring row
// `(first + t) % capacity`.
void cis_resample_column(const uint8_t *ring, size_t capacity, size_t bytes, size_t first, size_t taps,
                         const int32_t *weights, uint8_t *out);

// Versions of the libraries in use, such as "1.6.39" and "libjpeg-turbo 2.1.5" (API level as compiled).
const char *cis_png_version(void);
const char *cis_jpeg_version(void);

#endif
