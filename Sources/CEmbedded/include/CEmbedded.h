#ifndef CEMBEDDED_H
#define CEMBEDDED_H
#include <stddef.h>

/** A file that is compiled into the binary, so that the product needs no resource folder beside it. */
typedef struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
} zoo_embedded_file;

/** The embedded file of that name, or NULL. */
const zoo_embedded_file *zoo_embedded(const char *name);

#endif
