/** Everything the C target offers. Each header is the documentation of its family. */
#ifndef CK_H
#define CK_H
#include "ck_attention.h"
#include "ck_conv.h"
#include "ck_cpu.h"
#include "ck_dwconv.h"
#include "ck_fewhead.h"
#include "ck_filters.h"
#include "ck_gemm.h"
#include "ck_groupnorm.h"
#include "ck_heads.h"
#include "ck_linear_attention.h"
#include "ck_map.h"
#include "ck_norm.h"
#include "ck_pool.h"
#include "ck_pooling.h"
#include "ck_roofline.h"
#include "ck_rope.h"
#include "ck_scattered.h"
#include "ck_row_map.h"
#include "ck_scan.h"
#include "ck_status.h"
#endif
