#include "reader.h"

cis_code cis_fail(cis_report *report, cis_code code, const char *message) {
    report->code = code;
    size_t n = 0;
    for (; message[n] != '\0' && n + 1 < sizeof report->message; n++) {
        char c = message[n];
        report->message[n] = (c >= 0x20 && c < 0x7F) ? c : '?';
    }
    report->message[n] = '\0';
    return code;
}

void cis_warn(cis_reader *reader, cis_code code, const char *message) {
    bool first = reader->warning.code == CIS_OK;
    bool graver = code == CIS_TRUNCATED_DATA && reader->warning.code != CIS_TRUNCATED_DATA;
    if (first || graver) {
        cis_fail(&reader->warning, code, message);
    }
}

cis_code cis_reader_next_row(cis_reader *reader, uint8_t *row, cis_report *report) {
    return reader->next_row(reader, row, report);
}

void cis_reader_finish(cis_reader *reader) {
    reader->finish(reader);
}

cis_report cis_reader_warning(const cis_reader *reader) {
    return reader->warning;
}

void cis_reader_close(cis_reader *reader) {
    reader->close(reader);
}
