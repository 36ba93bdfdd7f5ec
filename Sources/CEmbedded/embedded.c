#include "CEmbedded.h"
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char classes[] = {
#embed "../../Datasets/Samples/imagenet-classes.tsv"
};

static const zoo_embedded_file files[] = {
    {"imagenet-classes.tsv", classes, sizeof classes},
};

const zoo_embedded_file *zoo_embedded(const char *name) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].name, name) == 0) return &files[i];
    return NULL;
}
