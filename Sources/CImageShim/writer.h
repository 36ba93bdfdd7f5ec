// What the JPEG and PNG writers share.
#ifndef CIS_WRITER_H
#define CIS_WRITER_H

#include "CImageShim.h"

// Append `count` bytes; false if memory is out, with the buffer unchanged.
bool cis_bytes_append(cis_bytes *bytes, const uint8_t *data, size_t count);

#endif
