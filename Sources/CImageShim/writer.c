#include "writer.h"

#include <stdlib.h>
#include <string.h>

bool cis_bytes_append(cis_bytes *bytes, const uint8_t *data, size_t count) {
    if (count > bytes->capacity - bytes->size) {
        size_t needed = bytes->size + count;
        size_t capacity = 2 * bytes->capacity > needed ? 2 * bytes->capacity : needed;
        uint8_t *grown = realloc(bytes->data, capacity);
        if (grown == NULL) {
            return false;
        }
        bytes->data = grown;
        bytes->capacity = capacity;
    }
    memcpy(bytes->data + bytes->size, data, count);
    bytes->size += count;
    return true;
}

void cis_bytes_free(cis_bytes *bytes) {
    free(bytes->data);
    *bytes = (cis_bytes){0};
}
