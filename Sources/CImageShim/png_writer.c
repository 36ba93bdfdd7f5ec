#include <setjmp.h>

#include <png.h>

#include "reader.h"
#include "writer.h"

typedef struct png_writer {
    png_structp png;
    png_infop info;
    jmp_buf escape;
    cis_bytes *out;
    cis_report *report;
} png_writer;

static void on_error(png_structp png, png_const_charp message) {
    png_writer *writer = png_get_error_ptr(png);
    cis_fail(writer->report, CIS_PNG_OTHER, message);
    longjmp(writer->escape, 1);
}

static void on_warning(png_structp png, png_const_charp message) {
    png_error(png, message);
}

static void on_write(png_structp png, png_bytep data, size_t count) {
    png_writer *writer = png_get_io_ptr(png);
    if (!cis_bytes_append(writer->out, data, count)) {
        png_error(png, "out of memory");
    }
}

static void on_flush(png_structp png) {
    (void)png;
}

static cis_code encode(png_writer *writer, const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                       const cis_text *texts, size_t text_count) {
    if (setjmp(writer->escape)) {
        return writer->report->code;
    }
    png_structp png = writer->png;
    png_set_write_fn(png, writer, on_write, on_flush);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(png, writer->info, width, height, 8, channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    for (size_t i = 0; i < text_count; i++) {
        // libpng wants mutable strings but copies them.
        png_text text = {
            .compression = texts[i].utf8 ? PNG_ITXT_COMPRESSION_NONE : PNG_TEXT_COMPRESSION_NONE,
            .key = (char *)texts[i].keyword,
            .text = (char *)texts[i].text,
        };
        png_set_text(png, writer->info, &text, 1);
    }
    png_write_info(png, writer->info);
    for (uint32_t y = 0; y < height; y++) {
        png_write_row(png, pixels + (size_t)y * width * channels);
    }
    png_write_end(png, writer->info);
    return CIS_OK;
}

cis_code cis_png_write(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, const cis_text *texts,
                       size_t text_count, cis_bytes *out, cis_report *report) {
    *out = (cis_bytes){0};
    *report = (cis_report){0};
    png_writer writer = {.out = out, .report = report};
    writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer, on_error, on_warning);
    writer.info = writer.png == NULL ? NULL : png_create_info_struct(writer.png);
    cis_code code = writer.info == NULL
                        ? cis_fail(report, CIS_NO_MEMORY, "out of memory")
                        : encode(&writer, pixels, width, height, channels, texts, text_count);
    png_destroy_write_struct(&writer.png, &writer.info);
    if (code != CIS_OK) {
        cis_bytes_free(out);
    }
    return code;
}
