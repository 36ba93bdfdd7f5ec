#define _GNU_SOURCE /* sched_getaffinity */
#include "ck_cpu.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)
#include <sched.h>
#endif

const char *ck_isa_name(ck_isa isa) {
    switch (isa) {
    case CK_ISA_REF: return "ref";
    case CK_ISA_PORTABLE: return "portable";
    case CK_ISA_AVX2: return "avx2";
    case CK_ISA_AVX512: return "avx512";
    case CK_ISA_COUNT: break;
    }
    return "unknown";
}

#if defined(__x86_64__)
#include <cpuid.h>
#include <stdint.h>

/* Which vector registers the operating system saves: bits 1-2 for AVX, 5-7 in addition for AVX-512. */
static uint64_t saved_registers(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return 0;
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool detect(ck_isa isa) {
    if (isa == CK_ISA_REF || isa == CK_ISA_PORTABLE) return true;
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const bool fma = c & bit_FMA;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    const uint64_t saved = saved_registers();
    const bool avx2 = fma && (b & bit_AVX2) && (b & bit_BMI2) && (saved & 0x6) == 0x6;
    if (isa == CK_ISA_AVX2) return avx2;
    const uint32_t needed = bit_AVX512F | bit_AVX512VL | bit_AVX512BW | bit_AVX512DQ;
    return isa == CK_ISA_AVX512 && avx2 && (b & needed) == needed && (saved & 0xE6) == 0xE6;
}

static bool detect_bf16_dot(void) {
    uint32_t a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || a < 1) return false;
    if (!__get_cpuid_count(7, 1, &a, &b, &c, &d)) return false;
    return detect(CK_ISA_AVX512) && (a & bit_AVX512BF16);
}

void ck_cpu_brand(char *text, size_t size) {
    uint32_t words[13] = {0};
    uint32_t highest = __get_cpuid_max(0x80000000u, NULL);
    for (uint32_t leaf = 0; highest >= 0x80000004u && leaf < 3; leaf++)
        __get_cpuid(0x80000002u + leaf, &words[leaf * 4], &words[leaf * 4 + 1], &words[leaf * 4 + 2],
                    &words[leaf * 4 + 3]);
    const char *brand = words[0] ? (const char *)words : "unknown";
    if (size == 0) return;
    strncpy(text, brand, size - 1);
    text[size - 1] = 0;
}

#else

static bool detect(ck_isa isa) { return isa == CK_ISA_REF || isa == CK_ISA_PORTABLE; }

static bool detect_bf16_dot(void) { return false; }

void ck_cpu_brand(char *text, size_t size) {
    if (size == 0) return;
    strncpy(text, "unknown", size - 1);
    text[size - 1] = 0;
}

#endif

enum { FILLED = 1u << CK_ISA_COUNT, BF16_DOT = FILLED << 1 };

/* Every kernel call asks, and under a hypervisor CPUID takes microseconds: the answers are kept, one bit each. */
static unsigned features(void) {
    static _Atomic unsigned answers;
    unsigned known = atomic_load_explicit(&answers, memory_order_relaxed);
    if (!known) {
        known = FILLED;
        for (ck_isa each = CK_ISA_REF; each < CK_ISA_COUNT; each++) known |= (unsigned)detect(each) << each;
        const char *const choice = getenv("ZOO_BF16");
        if (detect_bf16_dot() && (choice == NULL || strcmp(choice, "widen") != 0)) known |= BF16_DOT;
        atomic_store_explicit(&answers, known, memory_order_relaxed);
    }
    return known;
}

bool ck_isa_available(ck_isa isa) { return isa < CK_ISA_COUNT && (features() >> isa & 1); }

bool ck_bf16_dot_available(void) { return features() & BF16_DOT; }

ck_isa ck_isa_best(void) {
    ck_isa best = CK_ISA_REF;
    for (ck_isa isa = CK_ISA_REF; isa < CK_ISA_COUNT; isa++)
        if (ck_isa_available(isa)) best = isa;
    return best;
}

size_t ck_cpu_allowed(int *processors, size_t capacity) {
    size_t count = 0;
#if defined(__linux__)
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 0;
    for (int processor = 0; processor < CPU_SETSIZE; processor++) {
        if (!CPU_ISSET(processor, &mask)) continue;
        if (count < capacity) processors[count] = processor;
        count++;
    }
#else
    (void)processors;
    (void)capacity;
#endif
    return count;
}

const char *ck_compiler(void) { return __VERSION__; }
