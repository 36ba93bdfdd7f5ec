#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "reader.h"

typedef struct jpeg_reader {
    cis_reader base;
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    struct jpeg_source_mgr source;
    jmp_buf escape;
    cis_report failure;
    cis_mode mode;
    uint32_t max_scans;
    bool at_end;        // the source has handed out all bytes
    bool started;
    JSAMPARRAY inks;    // one CMYK row
} jpeg_reader;

static cis_code classify(const jpeg_reader *reader) {
    switch (reader->errors.msg_code) {
    case JERR_OUT_OF_MEMORY:
        return CIS_NO_MEMORY;
    case JERR_NO_BACKING_STORE:
        return CIS_TOO_MUCH_MEMORY;
    case JERR_IMAGE_TOO_BIG:
        return CIS_TOO_MANY_PIXELS;
    case JERR_EMPTY_IMAGE:
        return CIS_JPEG_EMPTY;
    case JERR_SOF_UNSUPPORTED:
    case JERR_BAD_PRECISION:
        return CIS_JPEG_UNSUPPORTED_FRAME;
    case JERR_COMPONENT_COUNT:
    case JERR_BAD_COMPONENT_ID:
        return CIS_JPEG_COMPONENTS;
    case JERR_BAD_LENGTH:
        return CIS_JPEG_SEGMENT_LENGTH;
    case JERR_SOI_DUPLICATE:
    case JERR_SOF_DUPLICATE:
        return CIS_JPEG_DUPLICATE_MARKER;
    case JERR_NO_IMAGE:
    case JERR_SOS_NO_SOF:
        return CIS_JPEG_MISSING_FRAME;
    case JERR_SOF_NO_SOS:
        return CIS_JPEG_MISSING_SCAN;
    case JERR_UNKNOWN_MARKER:
        return CIS_JPEG_UNKNOWN_MARKER;
    case JERR_BAD_HUFF_TABLE:
    case JERR_DHT_INDEX:
    case JERR_NO_HUFF_TABLE:
        return CIS_JPEG_HUFFMAN_TABLE;
    case JERR_DQT_INDEX:
    case JERR_NO_QUANT_TABLE:
        return CIS_JPEG_QUANTIZATION_TABLE;
    case JERR_DAC_INDEX:
    case JERR_DAC_VALUE:
        return CIS_JPEG_ARITHMETIC_TABLE;
    case JERR_BAD_SAMPLING:
    case JERR_BAD_MCU_SIZE:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_CCIR601_NOTIMPL:
        return CIS_JPEG_SAMPLING;
    case JERR_BAD_PROGRESSION:
        return CIS_JPEG_PROGRESSION;
    default:
        return CIS_JPEG_OTHER;
    }
}

static void on_error(j_common_ptr decoder) {
    jpeg_reader *reader = decoder->client_data;
    char text[JMSG_LENGTH_MAX];
    decoder->err->format_message(decoder, text);
    // A header that ends with the file makes the decoder stumble in many ways; the cause is always the same.
    if (reader->at_end && !reader->started) {
        cis_fail(&reader->failure, CIS_TRUNCATED_HEADER, text);
    } else {
        cis_fail(&reader->failure, classify(reader), text);
    }
    longjmp(reader->escape, 1);
}

static void on_message(j_common_ptr decoder, int level) {
    if (level >= 0) {
        return;
    }
    jpeg_reader *reader = decoder->client_data;
    decoder->err->num_warnings++;
    if (reader->base.warning.code == CIS_TRUNCATED_DATA) {
        return;
    }
    char text[JMSG_LENGTH_MAX];
    decoder->err->format_message(decoder, text);
    bool truncated = decoder->err->msg_code == JWRN_JPEG_EOF;
    cis_warn(&reader->base, truncated ? CIS_TRUNCATED_DATA : CIS_CORRUPT_DATA, text);
}

static void on_progress(j_common_ptr decoder) {
    jpeg_reader *reader = decoder->client_data;
    if (reader->decoder.input_scan_number > (int)reader->max_scans) {
        cis_fail(&reader->failure, CIS_JPEG_TOO_MANY_SCANS, "too many scans");
        longjmp(reader->escape, 1);
    }
}

static void source_nothing(j_decompress_ptr decoder) {
    (void)decoder;
}

// The file is over: warn, and feed end-of-image markers so that the decoder finishes what it has.
static boolean source_fill(j_decompress_ptr decoder) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    jpeg_reader *reader = decoder->client_data;
    reader->at_end = true;
    WARNMS(decoder, JWRN_JPEG_EOF);
    decoder->src->next_input_byte = end;
    decoder->src->bytes_in_buffer = sizeof end;
    return TRUE;
}

static void source_skip(j_decompress_ptr decoder, long count) {
    struct jpeg_source_mgr *source = decoder->src;
    if (count <= 0) {
        return;
    }
    if ((unsigned long)count > source->bytes_in_buffer) {
        source->next_input_byte += source->bytes_in_buffer;
        source->bytes_in_buffer = 0;
    } else {
        source->next_input_byte += count;
        source->bytes_in_buffer -= (size_t)count;
    }
}

// Pillow reads every four-component JPEG as inverted inks and converts without a colour profile.
static void rgb_from_inverted_inks(const uint8_t *inks, uint32_t width, uint8_t *row) {
    for (uint32_t x = 0; x < width; x++) {
        int white = inks[4 * x + 3];
        for (int c = 0; c < 3; c++) {
            int product = (255 - inks[4 * x + c]) * white + 128;
            int value = white - (((product >> 8) + product) >> 8);
            row[3 * x + c] = (uint8_t)(value < 0 ? 0 : value);
        }
    }
}

static void start(jpeg_reader *reader) {
    j_decompress_ptr decoder = &reader->decoder;
    if (reader->mode == CIS_MODE_CMYK) {
        decoder->out_color_space = JCS_CMYK;
        reader->inks = decoder->mem->alloc_sarray((j_common_ptr)decoder, JPOOL_IMAGE, 4 * decoder->image_width, 1);
    } else {
        decoder->out_color_space = JCS_RGB;
    }
    decoder->dct_method = JDCT_ISLOW;
    decoder->do_fancy_upsampling = TRUE;
    reader->started = true;
    jpeg_start_decompress(decoder);
}

static cis_code next_row(cis_reader *base, uint8_t *row, cis_report *report) {
    jpeg_reader *reader = (jpeg_reader *)base;
    if (setjmp(reader->escape)) {
        *report = reader->failure;
        return report->code;
    }
    if (!reader->started) {
        start(reader);
    }
    if (reader->mode == CIS_MODE_CMYK) {
        jpeg_read_scanlines(&reader->decoder, reader->inks, 1);
        rgb_from_inverted_inks(reader->inks[0], reader->decoder.image_width, row);
    } else {
        jpeg_read_scanlines(&reader->decoder, &row, 1);
    }
    return CIS_OK;
}

static void finish(cis_reader *base) {
    jpeg_reader *reader = (jpeg_reader *)base;
    if (setjmp(reader->escape)) {
        cis_warn(base, CIS_CORRUPT_DATA, reader->failure.message);
        return;
    }
    jpeg_finish_decompress(&reader->decoder);
}

static void close_reader(cis_reader *base) {
    jpeg_reader *reader = (jpeg_reader *)base;
    if (!setjmp(reader->escape)) {
        jpeg_destroy_decompress(&reader->decoder);
    }
    free(reader);
}

static cis_code open_header(jpeg_reader *reader, const uint8_t *data, size_t size, cis_limits limits,
                            cis_header *header, cis_report *report) {
    if (setjmp(reader->escape)) {
        *report = reader->failure;
        return report->code;
    }
    j_decompress_ptr decoder = &reader->decoder;
    decoder->err = jpeg_std_error(&reader->errors);
    reader->errors.error_exit = on_error;
    reader->errors.emit_message = on_message;
    decoder->client_data = reader;
    jpeg_create_decompress(decoder);

    reader->max_scans = limits.max_scans;
    reader->progress.progress_monitor = on_progress;
    decoder->progress = &reader->progress;
    decoder->mem->max_memory_to_use = limits.max_bytes > INT64_MAX ? INT64_MAX : (long)limits.max_bytes;

    reader->source.init_source = source_nothing;
    reader->source.fill_input_buffer = source_fill;
    reader->source.skip_input_data = source_skip;
    reader->source.resync_to_restart = jpeg_resync_to_restart;
    reader->source.term_source = source_nothing;
    reader->source.next_input_byte = data;
    reader->source.bytes_in_buffer = size;
    decoder->src = &reader->source;

    jpeg_read_header(decoder, TRUE);
    header->width = decoder->image_width;
    header->height = decoder->image_height;
    switch (decoder->num_components) {
    case 1:
        reader->mode = CIS_MODE_GREY;
        break;
    case 3:
        reader->mode = CIS_MODE_RGB;
        break;
    case 4:
        reader->mode = CIS_MODE_CMYK;
        break;
    default:
        return cis_fail(report, CIS_JPEG_COMPONENTS, "component count is not 1, 3 or 4");
    }
    header->mode = reader->mode;
    if ((uint64_t)header->width * header->height > limits.max_pixels) {
        return cis_fail(report, CIS_TOO_MANY_PIXELS, "too many pixels");
    }
    return CIS_OK;
}

cis_reader *cis_jpeg_open(const uint8_t *data, size_t size, cis_limits limits, cis_header *header, cis_report *report) {
    jpeg_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        cis_fail(report, CIS_NO_MEMORY, "out of memory");
        return NULL;
    }
    reader->base.next_row = next_row;
    reader->base.finish = finish;
    reader->base.close = close_reader;
    if (open_header(reader, data, size, limits, header, report) != CIS_OK) {
        close_reader(&reader->base);
        return NULL;
    }
    return &reader->base;
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *cis_jpeg_version(void) {
#ifdef LIBJPEG_TURBO_VERSION
    return "libjpeg-turbo " TEXT(LIBJPEG_TURBO_VERSION);
#else
    return "libjpeg " TEXT(JPEG_LIB_VERSION);
#endif
}
