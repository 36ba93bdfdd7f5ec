#include "ck_status.h"

const char *ck_status_name(ck_status status) {
    switch (status) {
    case CK_OK: return "ok";
    case CK_BAD_SHAPE: return "bad shape";
    case CK_BAD_ARGUMENT: return "bad argument";
    case CK_UNAVAILABLE: return "not available";
    case CK_NO_MEMORY: return "out of memory";
    }
    return "unknown status";
}
