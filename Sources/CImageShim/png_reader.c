#include <setjmp.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "reader.h"

// Rows cost time whatever their length: this bounds them where a limit on pixels does not. libpng's own default.
enum { MAX_SIDE = 1000000 };

typedef struct png_reader {
    cis_reader base;
    png_structp png;
    png_infop info;
    jmp_buf escape;
    cis_report failure;
    const uint8_t *data;
    size_t remaining;
    uint64_t budget;            // bytes that libpng and the reader may still allocate
    cis_header header;
    uint32_t row;               // the next row to hand out
    uint32_t channels;          // of a decoded row: 1 (palette index) or 3
    uint8_t *indices;           // one row of palette indices
    uint8_t *image;             // the whole decoded image of an interlaced file
    uint8_t palette[256][3];
    bool is_complete;           // the chunks reach the end marker
    bool reading_pixels;
    bool past_pixels;
    bool has_pixels;            // at least one row has been decoded
    bool row_complete;          // the row asked for has been decoded, whatever went wrong behind it
    bool ended;                 // the file is over; libpng must not be called again
} png_reader;

// Allocations carry their size in front, so that freeing gives it back to the budget.
typedef union block {
    size_t size;
    max_align_t align;
} block;

static void *budget_alloc(png_reader *reader, size_t size) {
    if (size > SIZE_MAX - sizeof(block) || size > reader->budget) {
        cis_fail(&reader->failure, CIS_TOO_MUCH_MEMORY, "decoding takes too much memory");
        return NULL;
    }
    // Zeroed lazily by the system: what a header claims costs nothing until rows arrive.
    block *memory = calloc(1, sizeof(block) + size);
    if (memory == NULL) {
        cis_fail(&reader->failure, CIS_NO_MEMORY, "out of memory");
        return NULL;
    }
    memory->size = size;
    reader->budget -= size;
    return memory + 1;
}

static void budget_free(png_reader *reader, void *pointer) {
    if (pointer != NULL) {
        block *memory = (block *)pointer - 1;
        reader->budget += memory->size;
        free(memory);
    }
}

static png_voidp png_budget_alloc(png_structp png, png_alloc_size_t size) {
    return budget_alloc(png_get_mem_ptr(png), size);
}

static void png_budget_free(png_structp png, png_voidp pointer) {
    budget_free(png_get_mem_ptr(png), pointer);
}

// libpng reports by message alone; the fragments are those of 1.6.
static cis_code classify(const char *message) {
    static const struct {
        const char *fragment;
        cis_code code;
    } table[] = {
        {"CRC error", CIS_PNG_CRC},
        {"exceeds user limit", CIS_TOO_MANY_PIXELS},
        {"Invalid IHDR data", CIS_PNG_HEADER},
        {"issing IHDR", CIS_PNG_HEADER},
        {"IHDR: invalid", CIS_PNG_HEADER},
        {"IHDR: out of place", CIS_PNG_CHUNK_ORDER},
        {"PLTE: out of place", CIS_PNG_CHUNK_ORDER},
        {"PLTE: duplicate", CIS_PNG_CHUNK_ORDER},
        {"IEND: out of place", CIS_PNG_CHUNK_ORDER},
        {"Missing PLTE", CIS_PNG_PALETTE},
        {"PLTE: invalid", CIS_PNG_PALETTE},
        {"PLTE: ", CIS_PNG_PALETTE},
        {"Invalid palette", CIS_PNG_PALETTE},
        {"invalid chunk type", CIS_PNG_CHUNK_NAME},
        {"unhandled critical chunk", CIS_PNG_CHUNK_NAME},
        {"unknown critical chunk", CIS_PNG_CHUNK_NAME},
        {"PNG unsigned integer out of range", CIS_PNG_CHUNK_LENGTH},
        {"chunk data is too large", CIS_PNG_CHUNK_LENGTH},
        {"Not enough image data", CIS_PNG_MISSING_DATA},
        {"bad adaptive filter value", CIS_CORRUPT_DATA},
        {"IDAT: ", CIS_CORRUPT_DATA},
        {"Missing IDAT", CIS_PNG_CHUNK_ORDER},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strstr(message, table[i].fragment) != NULL) {
            return table[i].code;
        }
    }
    return CIS_PNG_OTHER;
}

static void on_error(png_structp png, png_const_charp message) {
    png_reader *reader = png_get_error_ptr(png);
    if (reader->failure.code == CIS_OK) {
        cis_code code = classify(message);
        bool in_chunk = (png_get_io_state(png) & PNG_IO_MASK_LOC) != PNG_IO_CHUNK_HDR;
        if (code == CIS_PNG_CHUNK_LENGTH && in_chunk) {
            // A number out of range inside a chunk: only IHDR has one.
            code = CIS_PNG_HEADER;
        }
        if (code == CIS_PNG_HEADER && reader->base.warning.code != CIS_OK) {
            // libpng has said in a warning which field it is.
            reader->failure = reader->base.warning;
        } else {
            cis_fail(&reader->failure, code, message);
        }
    }
    longjmp(reader->escape, 1);
}

// A wrong checksum of a chunk ahead of the pixel data is refused, as Pillow does, and so is a wrong one of the
// compressed stream. A wrong checksum of a chunk in or after the pixel data is a warning.
static void on_warning(png_structp png, png_const_charp message) {
    png_reader *reader = png_get_error_ptr(png);
    cis_code code = classify(message);
    bool pixels = reader->past_pixels || strncmp(message, "IDAT", 4) == 0;
    if ((code == CIS_PNG_CRC && !pixels) || strstr(message, "incorrect data check") != NULL) {
        png_error(png, message);
    }
    if (code == CIS_PNG_OTHER) {
        code = reader->reading_pixels ? CIS_CORRUPT_DATA : CIS_PNG_HEADER;
    }
    cis_warn(&reader->base, code, message);
}

static void on_read(png_structp png, png_bytep out, size_t count) {
    png_reader *reader = png_get_io_ptr(png);
    if (count > reader->remaining) {
        cis_fail(&reader->failure, reader->reading_pixels ? CIS_TRUNCATED_DATA : CIS_TRUNCATED_HEADER,
                 "the file ends early");
        longjmp(reader->escape, 1);
    }
    memcpy(out, reader->data, count);
    reader->data += count;
    reader->remaining -= count;
}

static void on_row(png_structp png, png_row_infop info, png_bytep row) {
    (void)info;
    (void)row;
    png_reader *reader = png_get_user_transform_ptr(png);
    reader->has_pixels = true;
    reader->row_complete = true;
}

static cis_mode mode_of(int color_type, int depth) {
    switch (color_type) {
    case PNG_COLOR_TYPE_GRAY:
        return depth == 1 ? CIS_MODE_BILEVEL : depth == 16 ? CIS_MODE_GREY16 : CIS_MODE_GREY;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
        return CIS_MODE_GREY_ALPHA;
    case PNG_COLOR_TYPE_PALETTE:
        return CIS_MODE_PALETTE;
    case PNG_COLOR_TYPE_RGB_ALPHA:
        return CIS_MODE_RGBA;
    default:
        return CIS_MODE_RGB;
    }
}

// Indices beyond the file's palette are black, as in Pillow.
static void load_palette(png_reader *reader) {
    png_colorp colors = NULL;
    int count = 0;
    png_get_PLTE(reader->png, reader->info, &colors, &count);
    for (int i = 0; i < count && i < 256; i++) {
        reader->palette[i][0] = colors[i].red;
        reader->palette[i][1] = colors[i].green;
        reader->palette[i][2] = colors[i].blue;
    }
}

static void set_transformations(png_reader *reader) {
    png_structp png = reader->png;
    int type = png_get_color_type(png, reader->info);
    int depth = png_get_bit_depth(png, reader->info);
    if (type == PNG_COLOR_TYPE_PALETTE) {
        png_set_packing(png);
        return;
    }
    if (depth == 16) {
        if (type == PNG_COLOR_TYPE_GRAY) {
            png_set_scale_16(png);
        } else {
            png_set_strip_16(png);
        }
    } else if (depth < 8) {
        png_set_expand_gray_1_2_4_to_8(png);
    }
    if ((type & PNG_COLOR_MASK_ALPHA) != 0) {
        png_set_strip_alpha(png);
    }
    if ((type & PNG_COLOR_MASK_COLOR) == 0) {
        png_set_gray_to_rgb(png);
    }
}

static void *take(png_reader *reader, size_t size) {
    void *memory = budget_alloc(reader, size);
    if (memory == NULL) {
        longjmp(reader->escape, 1);
    }
    return memory;
}

static void read_row(png_reader *reader, uint8_t *out) {
    enum { BUFFER = 16384 };
    if (!reader->is_complete && reader->remaining < BUFFER) {
        // Towards the cut byte by byte, so that every row before it is found.
        png_set_compression_buffer_size(reader->png, 1);
    }
    reader->row_complete = false;
    png_read_row(reader->png, out, NULL);
}

static void read_interlaced(png_reader *reader) {
    size_t stride = (size_t)reader->channels * reader->header.width;
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; pass++) {
        for (uint32_t y = 0; y < reader->header.height; y++) {
            read_row(reader, reader->image + stride * y);
        }
    }
}

static void decode_row(png_reader *reader, uint8_t *out) {
    if (reader->image == NULL) {
        read_row(reader, out);
    } else if (reader->row == 0) {
        read_interlaced(reader);
    }
}

// Whether the error leaves something worth showing: rows of a file that was cut off, or all rows of a file that
// lacks only the end of its compressed stream.
static bool is_salvageable(const png_reader *reader) {
    cis_code code = reader->failure.code;
    return (code == CIS_TRUNCATED_DATA && reader->has_pixels) || (code == CIS_PNG_MISSING_DATA && reader->row_complete);
}

static void expand_palette(const png_reader *reader, uint8_t *row) {
    for (uint32_t x = 0; x < reader->header.width; x++) {
        memcpy(row + 3 * (size_t)x, reader->palette[reader->indices[x]], 3);
    }
}

static cis_code next_row(cis_reader *base, uint8_t *row, cis_report *report) {
    png_reader *reader = (png_reader *)base;
    uint8_t *out = reader->indices != NULL ? reader->indices : row;
    size_t stride = (size_t)reader->channels * reader->header.width;
    if (setjmp(reader->escape)) {
        if (!is_salvageable(reader)) {
            *report = reader->failure;
            return report->code;
        }
        cis_warn(base, reader->failure.code, reader->failure.message);
        reader->ended = true;
    }
    if (!reader->ended) {
        decode_row(reader, out);
    }
    if (reader->image != NULL) {
        memcpy(out, reader->image + stride * reader->row, stride);
    } else if (!reader->row_complete) {
        // Rows that the file does not reach are black.
        memset(out, 0, stride);
    }
    reader->row_complete = false;
    if (reader->indices != NULL) {
        expand_palette(reader, row);
    }
    reader->row++;
    return CIS_OK;
}

static void finish(cis_reader *base) {
    png_reader *reader = (png_reader *)base;
    if (reader->ended) {
        return;
    }
    reader->past_pixels = true;
    if (setjmp(reader->escape)) {
        cis_warn(base, reader->failure.code, reader->failure.message);
        return;
    }
    png_read_end(reader->png, NULL);
}

static void close_reader(cis_reader *base) {
    png_reader *reader = (png_reader *)base;
    if (reader->png != NULL && !setjmp(reader->escape)) {
        png_destroy_read_struct(&reader->png, &reader->info, NULL);
    }
    budget_free(reader, reader->indices);
    budget_free(reader, reader->image);
    free(reader);
}

// Whether the chunks reach the end marker. Only a walk over the lengths.
static bool is_complete(const uint8_t *data, size_t size) {
    size_t position = 8;
    while (size >= 12 && position <= size - 12) {
        uint32_t length = png_get_uint_32(data + position);
        if (memcmp(data + position + 4, "IEND", 4) == 0) {
            return true;
        }
        if (length > size - 12 - position) {
            return false;
        }
        position += 12 + (size_t)length;
    }
    return false;
}

static cis_code open_header(png_reader *reader, cis_limits limits, cis_report *report) {
    if (setjmp(reader->escape)) {
        *report = reader->failure;
        return report->code;
    }
    reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader, on_error, on_warning, reader,
                                           png_budget_alloc, png_budget_free);
    if (reader->png == NULL) {
        *report = reader->failure;
        return report->code;
    }
    png_structp png = reader->png;
    reader->info = png_create_info_struct(png);
    if (reader->info == NULL) {
        *report = reader->failure;
        return report->code;
    }
    png_set_read_fn(png, reader, on_read);
    png_set_read_user_transform_fn(png, on_row);
    png_set_user_transform_info(png, reader, 0, 0);
    reader->is_complete = is_complete(reader->data, reader->remaining);
    png_set_user_limits(png, MAX_SIDE, MAX_SIDE);
    png_set_crc_action(png, PNG_CRC_WARN_USE, PNG_CRC_WARN_DISCARD);
    // No ancillary chunk changes the RGB values, so none is parsed.
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, (png_const_bytep) "tRNS", 1);

    png_read_info(png, reader->info);
    cis_header *header = &reader->header;
    header->width = png_get_image_width(png, reader->info);
    header->height = png_get_image_height(png, reader->info);
    header->mode = mode_of(png_get_color_type(png, reader->info), png_get_bit_depth(png, reader->info));
    if ((uint64_t)header->width * header->height > limits.max_pixels) {
        return cis_fail(report, CIS_TOO_MANY_PIXELS, "too many pixels");
    }

    set_transformations(reader);
    png_set_interlace_handling(png);
    png_read_update_info(png, reader->info);
    bool indexed = header->mode == CIS_MODE_PALETTE;
    reader->channels = indexed ? 1 : 3;
    if (indexed) {
        load_palette(reader);
        reader->indices = take(reader, header->width);
    }
    if (png_get_interlace_type(png, reader->info) != PNG_INTERLACE_NONE) {
        reader->image = take(reader, (size_t)reader->channels * header->width * header->height);
    }
    reader->reading_pixels = true;
    return CIS_OK;
}

cis_reader *cis_png_open(const uint8_t *data, size_t size, cis_limits limits, cis_header *header, cis_report *report) {
    png_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) {
        cis_fail(report, CIS_NO_MEMORY, "out of memory");
        return NULL;
    }
    reader->base.next_row = next_row;
    reader->base.finish = finish;
    reader->base.close = close_reader;
    reader->data = data;
    reader->remaining = size;
    reader->budget = limits.max_bytes;
    if (open_header(reader, limits, report) != CIS_OK) {
        close_reader(&reader->base);
        return NULL;
    }
    *header = reader->header;
    return &reader->base;
}

const char *cis_png_version(void) {
    return png_get_libpng_ver(NULL);
}
