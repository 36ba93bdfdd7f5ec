/* Closes the target region that ck_simd.h opened. */
#if defined(CK_SIMD_AVX512) || defined(CK_SIMD_AVX512BF16) || defined(CK_SIMD_AVX2)
#pragma clang attribute pop
#endif
