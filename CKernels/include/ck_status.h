#ifndef CK_STATUS_H
#define CK_STATUS_H

/** What a kernel entry returns. Kernels never print, abort, allocate or set errno. */
typedef enum {
    CK_OK = 0,
    /** A size is zero where that has no meaning, exceeds a documented bound, or contradicts another. */
    CK_BAD_SHAPE = 1,
    /** A required pointer is NULL, a stride is smaller than the row it steps over, or an enum is out of range. */
    CK_BAD_ARGUMENT = 2,
    /** The instruction set or feature is not available on this machine or in this build. */
    CK_UNAVAILABLE = 3,
    /** Memory for a pool or context could not be obtained. */
    CK_NO_MEMORY = 4
} ck_status;

/** A short English phrase for a status, never NULL. */
const char *ck_status_name(ck_status status);

#endif
