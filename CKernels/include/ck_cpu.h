#ifndef CK_CPU_H
#define CK_CPU_H

#include <stdbool.h>
#include <stddef.h>

/**
 * The implementations a kernel family can have, in the order of the dispatch tables.
 *
 * `ref` is the specification (plain loops, double accumulators), `portable` the shared kernel bodies compiled with
 * 128-bit compiler vectors (NEON on ARM, SSE on x86). Every family has all four on x86-64 and the first two elsewhere.
 */
typedef enum {
    CK_ISA_REF = 0,
    CK_ISA_PORTABLE = 1,
    CK_ISA_AVX2 = 2,   /**< AVX2, FMA3 and BMI2 */
    CK_ISA_AVX512 = 3, /**< AVX-512 F, VL, BW and DQ */
    CK_ISA_COUNT = 4
} ck_isa;

/** `ref`, `portable`, `avx2` or `avx512`; the names that `--isa` and `ZOO_ISA` take. */
const char *ck_isa_name(ck_isa isa);

/** Whether this processor and operating system can run the instruction set. Thread-safe. */
bool ck_isa_available(ck_isa isa);

/**
 * Whether products of bf16 weights on CK_ISA_AVX512 use the processor's bf16 dot product (AVX512_BF16); without it they
 * widen bf16 to float. The environment variable `ZOO_BF16=widen`, read once, answers no for a processor that has it.
 */
bool ck_bf16_dot_available(void);

/** The fastest available instruction set. */
ck_isa ck_isa_best(void);

/** Writes the processor's brand string (at most `size` bytes with the terminator; "unknown" where there is none). */
void ck_cpu_brand(char *text, size_t size);

/**
 * Writes the numbers of the processors that the calling thread may run on, at most `capacity` of them.
 *
 * @return how many there are; 0 where the system does not tell.
 */
size_t ck_cpu_allowed(int *processors, size_t capacity);

/** The compiler that built this library, with its version. */
const char *ck_compiler(void);

#endif
