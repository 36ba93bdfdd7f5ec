// What the JPEG and PNG readers share.
#ifndef CIS_READER_H
#define CIS_READER_H

#include "CImageShim.h"

// Both readers begin with this struct.
struct cis_reader {
    cis_code (*next_row)(cis_reader *reader, uint8_t *row, cis_report *report);
    void (*finish)(cis_reader *reader);
    void (*close)(cis_reader *reader);
    cis_report warning;
};

// Fill `report` with a code and printable ASCII of `message`, cut to fit; returns the code.
cis_code cis_fail(cis_report *report, cis_code code, const char *message);

// Keep the warning if it is the first, or a truncation after a lesser one.
void cis_warn(cis_reader *reader, cis_code code, const char *message);

#endif
