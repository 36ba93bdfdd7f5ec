#include "CEmbedded.h"
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char classes[] = {
#embed "../../Datasets/Samples/imagenet-classes.tsv"
};
static const unsigned char imagenette[] = {
#embed "../../Datasets/Samples/imagenette.indices.txt"
};
static const unsigned char mini_imagenet[] = {
#embed "../../Datasets/Samples/mini-imagenet.indices.txt"
};
static const unsigned char imagenet_a[] = {
#embed "../../Datasets/Samples/imagenet-a.indices.txt"
};
static const unsigned char imagenet_r[] = {
#embed "../../Datasets/Samples/imagenet-r.indices.txt"
};
static const unsigned char digits[] = {
#embed "../../Datasets/Samples/digits.zip"
};
static const unsigned char imagenet_sample[] = {
#embed "../../Datasets/Samples/imagenet-sample.zip"
};
static const unsigned char ravlt_nano[] = {
#embed "../../Models/Checkpoints/ravlt-nano.safetensors"
};
static const unsigned char mavit_nano[] = {
#embed "../../Models/Checkpoints/mavit-nano.safetensors"
};
static const unsigned char dit_nano[] = {
#embed "../../Models/Checkpoints/dit-nano.safetensors"
};
static const unsigned char lit_nano[] = {
#embed "../../Models/Checkpoints/lit-nano.safetensors"
};

static const zoo_embedded_file files[] = {
    {"imagenet-classes.tsv", classes, sizeof classes},
    {"imagenette.indices.txt", imagenette, sizeof imagenette},
    {"mini-imagenet.indices.txt", mini_imagenet, sizeof mini_imagenet},
    {"imagenet-a.indices.txt", imagenet_a, sizeof imagenet_a},
    {"imagenet-r.indices.txt", imagenet_r, sizeof imagenet_r},
    {"digits.zip", digits, sizeof digits},
    {"imagenet-sample.zip", imagenet_sample, sizeof imagenet_sample},
    {"ravlt-nano.safetensors", ravlt_nano, sizeof ravlt_nano},
    {"mavit-nano.safetensors", mavit_nano, sizeof mavit_nano},
    {"dit-nano.safetensors", dit_nano, sizeof dit_nano},
    {"lit-nano.safetensors", lit_nano, sizeof lit_nano},
};

const zoo_embedded_file *zoo_embedded(const char *name) {
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].name, name) == 0) return &files[i];
    return NULL;
}
