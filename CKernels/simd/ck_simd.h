/**
 * The vector vocabulary of the kernel bodies (`*_impl.h`).
 *
 * A kernel is written once against these names and compiled once per instruction set by a small `*_avx512.c`,
 * `*_avx2.c`, `*_portable.c`, which defines one of CK_SIMD_AVX512, CK_SIMD_AVX2, CK_SIMD_PORTABLE, includes this file
 * and then the body, and closes with `ck_simd_end.h`:
 *
 *     #define CK_SIMD_AVX512
 *     #include "simd/ck_simd.h"
 *     #include "rala/rala_impl.h"
 *     #include "simd/ck_simd_end.h"
 *
 * `CK_NAME(ck_rala_f32)` becomes `ck_rala_f32_avx512`. Instruction sets are switched on by function attributes, never
 * by compiler flags, so the package stays importable. On other architectures the x86 files compile to nothing.
 *
 * vf       a vector of VL floats (16, 8, 4)
 * v_load   unaligned load;  v_load_n   the first n (0..VL) floats, the rest zero, nothing else is touched
 * v_store  unaligned store; v_store_n  the first n floats
 * v_load_fours  VL / 4 times four floats, `stride` floats apart in memory, side by side
 * v_fma    a * b + c with one rounding on every path
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define CK_INLINE static inline __attribute__((always_inline, unused))
#define CK_PASTE_(a, b) a##_##b
#define CK_PASTE(a, b) CK_PASTE_(a, b)
#define CK_NAME(name) CK_PASTE(name, CK_SUFFIX)

#if defined(CK_SIMD_AVX512) || defined(CK_SIMD_AVX512BF16)
#include "simd/ck_simd_avx512.h"
#elif defined(CK_SIMD_AVX2)
#include "simd/ck_simd_avx2.h"
#elif defined(CK_SIMD_PORTABLE)
#include "simd/ck_simd_portable.h"
#else
#error "define CK_SIMD_AVX512, CK_SIMD_AVX2 or CK_SIMD_PORTABLE before including ck_simd.h"
#endif

#include "simd/ck_math.h"
