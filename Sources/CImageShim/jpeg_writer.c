#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

#include "reader.h"
#include "writer.h"

typedef struct jpeg_writer {
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    jmp_buf escape;
    struct jpeg_destination_mgr destination;
    cis_report *report;
    cis_bytes *out;
    JOCTET buffer[4096];
} jpeg_writer;

static void on_error(j_common_ptr encoder) {
    jpeg_writer *writer = encoder->client_data;
    char text[JMSG_LENGTH_MAX];
    encoder->err->format_message(encoder, text);
    cis_fail(writer->report, writer->errors.msg_code == JERR_OUT_OF_MEMORY ? CIS_NO_MEMORY : CIS_JPEG_OTHER, text);
    longjmp(writer->escape, 1);
}

static void on_message(j_common_ptr encoder, int level) {
    (void)encoder;
    (void)level;
}

static void destination_init(j_compress_ptr encoder) {
    jpeg_writer *writer = encoder->client_data;
    writer->destination.next_output_byte = writer->buffer;
    writer->destination.free_in_buffer = sizeof writer->buffer;
}

static void flush(j_compress_ptr encoder, size_t count) {
    jpeg_writer *writer = encoder->client_data;
    if (!cis_bytes_append(writer->out, writer->buffer, count)) {
        ERREXIT1(encoder, JERR_OUT_OF_MEMORY, 0);
    }
}

static boolean destination_empty(j_compress_ptr encoder) {
    flush(encoder, sizeof ((jpeg_writer *)encoder->client_data)->buffer);
    destination_init(encoder);
    return TRUE;
}

static void destination_finish(j_compress_ptr encoder) {
    jpeg_writer *writer = encoder->client_data;
    flush(encoder, sizeof writer->buffer - writer->destination.free_in_buffer);
}

static cis_code encode(jpeg_writer *writer, const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels,
                       int quality, bool subsample) {
    j_compress_ptr encoder = &writer->encoder;
    encoder->err = jpeg_std_error(&writer->errors);
    writer->errors.error_exit = on_error;
    writer->errors.emit_message = on_message;
    encoder->client_data = writer;
    if (setjmp(writer->escape)) {
        return writer->report->code;
    }
    jpeg_create_compress(encoder);
    writer->destination.init_destination = destination_init;
    writer->destination.empty_output_buffer = destination_empty;
    writer->destination.term_destination = destination_finish;
    encoder->dest = &writer->destination;
    encoder->image_width = width;
    encoder->image_height = height;
    encoder->input_components = (int)channels;
    encoder->in_color_space = channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(encoder);
    jpeg_set_quality(encoder, quality, TRUE);
    encoder->dct_method = JDCT_ISLOW;
    encoder->comp_info[0].h_samp_factor = subsample && channels == 3 ? 2 : 1;
    encoder->comp_info[0].v_samp_factor = subsample && channels == 3 ? 2 : 1;
    jpeg_start_compress(encoder, TRUE);
    for (uint32_t y = 0; y < height; y++) {
        // libjpeg wants a mutable pointer but only reads.
        JSAMPROW row = (JSAMPROW)(pixels + (size_t)y * width * channels);
        jpeg_write_scanlines(encoder, &row, 1);
    }
    jpeg_finish_compress(encoder);
    return CIS_OK;
}

cis_code cis_jpeg_write(const uint8_t *pixels, uint32_t width, uint32_t height, uint32_t channels, int quality,
                        bool subsample, cis_bytes *out, cis_report *report) {
    *out = (cis_bytes){0};
    *report = (cis_report){0};
    jpeg_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return cis_fail(report, CIS_NO_MEMORY, "out of memory");
    }
    writer->report = report;
    writer->out = out;
    cis_code code = encode(writer, pixels, width, height, channels, quality, subsample);
    if (!setjmp(writer->escape)) {
        jpeg_destroy_compress(&writer->encoder);
    }
    if (code != CIS_OK) {
        cis_bytes_free(out);
    }
    free(writer);
    return code;
}
