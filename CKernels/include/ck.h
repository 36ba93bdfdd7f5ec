#ifndef CK_H
#define CK_H
#include "ck_status.h"
#endif
