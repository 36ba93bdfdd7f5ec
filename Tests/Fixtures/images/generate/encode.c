// Encodes raw samples as JPEG in the ways that Pillow cannot.
//     encode IN.raw WIDTH HEIGHT SPACE SAMPLING MODE RESTART QUALITY OUT.jpg
// SPACE: grey, ycc, rgb, cmyk, ycck. SAMPLING: one digit pair per component, such as 22,11,11.
// MODE: baseline, progressive, arithmetic, progressive-arithmetic, scans (baseline, one scan per component).
// RESTART: interval in MCUs, 0 for none.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

int main(int argc, char **argv) {
    if (argc != 10) {
        return 64;
    }
    int width = atoi(argv[2]), height = atoi(argv[3]);
    const char *space = argv[4], *sampling = argv[5], *mode = argv[6];
    int channels = strcmp(space, "grey") == 0 ? 1 : strchr(space, 'k') != NULL ? 4 : 3;
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    FILE *out = fopen(argv[9], "wb");
    jpeg_stdio_dest(&encoder, out);
    encoder.image_width = (JDIMENSION)width;
    encoder.image_height = (JDIMENSION)height;
    encoder.input_components = channels;
    encoder.in_color_space = channels == 1 ? JCS_GRAYSCALE : channels == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&encoder);
    jpeg_set_colorspace(&encoder, strcmp(space, "rgb") == 0    ? JCS_RGB
                                  : strcmp(space, "cmyk") == 0 ? JCS_CMYK
                                  : strcmp(space, "ycck") == 0 ? JCS_YCCK
                                  : channels == 1              ? JCS_GRAYSCALE
                                                               : JCS_YCbCr);
    jpeg_set_quality(&encoder, atoi(argv[8]), TRUE);
    for (int c = 0; c < channels; c++) {
        encoder.comp_info[c].h_samp_factor = sampling[3 * c] - '0';
        encoder.comp_info[c].v_samp_factor = sampling[3 * c + 1] - '0';
    }
    encoder.arith_code = strstr(mode, "arithmetic") != NULL;
    encoder.restart_interval = (unsigned)atoi(argv[7]);
    jpeg_scan_info scans[4];
    if (strstr(mode, "progressive") != NULL) {
        jpeg_simple_progression(&encoder);
    } else if (strcmp(mode, "scans") == 0) {
        for (int c = 0; c < channels; c++) {
            scans[c] = (jpeg_scan_info){.comps_in_scan = 1, .component_index = {c}, .Se = 63};
        }
        encoder.scan_info = scans;
        encoder.num_scans = channels;
    }
    jpeg_start_compress(&encoder, TRUE);
    FILE *in = fopen(argv[1], "rb");
    unsigned char *row = malloc((size_t)width * (size_t)channels);
    for (int y = 0; y < height; y++) {
        if (fread(row, (size_t)channels, (size_t)width, in) != (size_t)width) {
            return 65;
        }
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    return fclose(out);
}
