/*
 * Elementary functions over the vector vocabulary. Included by ck_simd.h only. NaN propagates through all of them.
 *
 * v_exp              exp(x), at most 2 ulp; 0 below -104, +inf above 88.73
 * v_exp_nonpositive  exp(x) for x <= 0, at most 2 ulp down to -87.3 and below 1.2e-38 further down
 * v_elu1             ELU(x) + 1: x + 1 for x > 0, else exp(x); at most 2 ulp for x > -87.3
 * v_gelu             exact GELU x (1 + erf(x / sqrt 2)) / 2: absolute error at most 9e-8 for |x| < 1 and
 *                    1.2e-7 |x| everywhere; the textbook formula in float32 reaches 4.5e-7 where this stays below
 *                    2.5e-7 (|x| < 10)
 * v_gelu_tanh        GELU with tanh, x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2: absolute error at most 1.1e-7
 *                    for |x| < 1 and 1.4e-7 |x| everywhere
 * v_silu             x / (1 + exp(-x)), at most 4 ulp for x > -87
 *
 * The tests sweep every function against double precision on every instruction set.
 */

/* The whole number nearest to a * b + c, for results below 2^22: adding 1.5 * 2^23 leaves no room for a fraction. */
CK_INLINE vf v_round_fma(vf a, vf b, vf c) {
    const vf magic = v_set(12582912.0f);
    return v_sub(v_fma(a, b, v_add(c, magic)), magic);
}

/* linear + c2 x^2 + ... + c6 x^6, summed in pairs: latency binds these functions, not throughput. */
CK_INLINE vf v_exp_series(vf x, vf linear, float c2, float c3, float c4, float c5, float c6) {
    const vf x2 = v_mul(x, x), low = v_fma(x, v_set(c3), v_set(c2));
    const vf high = v_fma(x2, v_set(c6), v_fma(x, v_set(c5), v_set(c4)));
    return v_fma(v_fma(high, x2, low), x2, linear);
}

/* exp(r) - 1 for |r| <= ln2 / 2 and 2^f - 1 for |f| <= 1/2: minimax, to 2e-9 */
CK_INLINE vf v_expm1_fraction(vf r) {
    return v_exp_series(r, r, 4.9999994e-1f, 1.6666432e-1f, 4.1668e-2f, 8.3741555e-3f, 1.3843654e-3f);
}
CK_INLINE vf v_exp2m1_fraction(vf f) {
    return v_exp_series(f, v_mul(f, v_set(6.931472e-1f)), 2.4022646e-1f, 5.5503286e-2f, 9.618489e-3f, 1.3399931e-3f,
                        1.5345812e-4f);
}

/* x - n ln2, with ln2 in two parts so that the remainder is exact to the last bit, with and without a fused multiply */
CK_INLINE vf v_exp_remainder(vf x, vf n) {
    return v_fnma(n, v_set(-2.12194440e-4f), v_fnma(n, v_set(0.693359375f), x));
}

CK_INLINE vf v_exp(vf x) {
    x = v_min(v_set(89.0f), v_max(v_set(-104.0f), x));
    const vf n = v_round_fma(x, v_set(1.44269502e0f), v_zero());
    return v_ldexp(v_add(v_expm1_fraction(v_exp_remainder(x, n)), v_set(1.0f)), n);
}

#if defined(CK_SIMD_AVX512)
/*
 * With the powers 2^(i/32) in two registers: x log2(e) = n + f, n the nearest multiple of 1/32, and the power of f is
 * 1 + f (c1 + c2 f), minimax to 5e-8 and exact at 0, where elu1 has to meet x + 1. Fewer operations than a longer series:
 * the ports of the multiplier bind where features are made between products.
 */
static const _Alignas(64) float ck_powers[32] = {
    1.0f, 1.0218972f, 1.04427373f, 1.06714046f, 1.09050775f, 1.1143868f, 1.13878858f, 1.1637249f, 1.18920708f,
    1.21524739f, 1.24185777f, 1.26905096f, 1.29683959f, 1.32523668f, 1.35425556f, 1.38390994f, 1.41421354f, 1.44518077f,
    1.47682619f, 1.50916445f, 1.54221082f, 1.5759809f, 1.61049032f, 1.64575553f, 1.68179286f, 1.71861935f, 1.75625217f,
    1.79470909f, 1.8340081f, 1.87416768f, 1.91520655f, 1.95714414f,
};

CK_INLINE vf v_exp_nonpositive(vf x) {
    const vf log2e = v_set(1.44269502e0f), shift = v_set(0x1.8p18f); /* leaves no room for bits below 1/32 */
    x = v_max(v_set(-88.0f), x);
    const vf index = v_fma(x, log2e, shift);
    const vf n = v_sub(index, shift);
    const vf f = v_fma(x, v_set(1.92596303e-8f), _mm512_fmsub_ps(x, log2e, n));
    const vf power = v_entry(ck_powers, index);
    const vf rest = v_fma(f, v_set(2.40228855e-01f), v_set(6.93157344e-01f));
    return v_ldexp_normal(v_fma(v_mul(power, f), rest, power), n);
}
#else
CK_INLINE vf v_exp_nonpositive(vf x) {
    x = v_max(v_set(-88.0f), x);
    const vf n = v_round_fma(x, v_set(1.44269502e0f), v_zero());
    const vf power = v_ldexp_normal(v_set(1.0f), n);
    return v_fma(v_expm1_fraction(v_exp_remainder(x, n)), power, power);
}
#endif

/* The exponential of a positive x is nonsense and not chosen; a NaN comes out of x + 1. */
CK_INLINE vf v_elu1(vf x) {
    return v_select_gt(v_zero(), x, v_exp_nonpositive(x), v_add(x, v_set(1.0f)));
}

/*
 * gelu(x) = max(x, 0) - a P(-a) with a = |x| and P the normal distribution function, or the logistic function of 2u for
 * the form with tanh: nothing cancels in either tail.
 */
#if defined(CK_SIMD_AVX512)
/*
 * a P(-a) around the points 3/16 j, j = 0..31: minimax polynomials of degree 4 in the distance from the nearest point,
 * coefficients fitted and rounded from the highest down. Beyond 5.7 it is below 4e-8 and becomes 0.
 */
static const _Alignas(64) float ck_gelu_tail[5][32] = {
    {0.0f, 0.07980643f, 0.13268633f, 0.16137433f, 0.16997051f, 0.16336004f, 0.14658134f, 0.124261916f, 0.1002108f,
      0.07720924f, 0.05699318f, 0.040383913f, 0.027505063f, 0.018024355f, 0.011372677f, 0.006912847f, 0.004049694f,
      0.002287166f, 0.0012456398f, 0.0006543242f, 0.00033156484f, 0.0001620969f, 7.646405e-05f, 3.480595e-05f,
      1.5289532e-05f, 6.48194e-06f, 2.652207e-06f, 1.0474167e-06f, 3.9926067e-07f, 1.4690329e-07f, 5.2174173e-08f,
      0.0f},
     {0.5f, 0.35213628f, 0.21438503f, 0.095318995f, 0.00077482837f, -0.06675564f, -0.10806644f, -0.12660272f,
      -0.12746926f, -0.11635033f, -0.09857812f, -0.07850003f, -0.059189916f, -0.042458907f, -0.029068599f,
      -0.019036956f, -0.011945647f, -0.0071912385f, -0.004157177f, -0.002309533f, -0.0012338003f, -0.0006341259f,
      -0.00031368455f, -0.00014939821f, -6.8526184e-05f, -3.0278357e-05f, -1.2890307e-05f, -5.28844e-06f,
      -2.0911898e-06f, -7.971139e-07f, -2.929279e-07f, 0.0f},
     {-0.39894274f, -0.3850999f, -0.34570867f, -0.28668863f, -0.21644267f, -0.14410232f, -0.07779888f, -0.023379536f,
      0.016189395f, 0.040713392f, 0.052127056f, 0.05359106f, 0.048601452f, 0.040306274f, 0.03111471f, 0.022584578f,
      0.015511505f, 0.0101234745f, 0.0062969765f, 0.0037411952f, 0.0021265831f, 0.0011579915f, 0.00060467457f,
      0.00030303217f, 0.0001458478f, 6.745266e-05f, 2.9991063e-05f, 1.2824869e-05f, 5.276335e-06f, 2.089103e-06f,
      7.962487e-07f, 0.0f},
     {2.067619e-05f, 0.048449896f, 0.089485526f, 0.1173545f, 0.12914449f, 0.12516676f, 0.10850427f, 0.08394697f,
      0.056693763f, 0.031210428f, 0.010509984f, -0.004054561f, -0.012567471f, -0.016075926f, -0.016060043f,
      -0.013995313f, -0.011079596f, -0.008126728f, -0.00558462f, -0.0036206022f, -0.0022248863f, -0.0013002061f,
      -0.0007243589f, -0.00038542497f, -0.00019615596f, -9.5596755e-05f, -4.4655528e-05f, -2.0009531e-05f,
      -8.606218e-06f, -3.5550224e-06f, -1.4110194e-06f, 0.0f},
     {0.06623475f, 0.061196912f, 0.046941984f, 0.026727583f, 0.0047915126f, -0.014697329f, -0.028654762f, -0.035664376f,
      -0.036014605f, -0.031275623f, -0.023634259f, -0.015234221f, -0.0077089276f, -0.0019816956f, 0.0016942117f,
      0.0035466738f, 0.0040520113f, 0.003727467f, 0.0030171683f, 0.0022243932f, 0.0015202466f, 0.0009731429f,
      0.00058730214f, 0.00033568192f, 0.00018229941f, 9.4294744e-05f, 4.654226e-05f, 2.1953701e-05f, 9.9080235e-06f,
      4.282637e-06f, 1.7743345e-06f, 0.0f},
};

static const _Alignas(64) float ck_gelu_tanh_tail[5][32] = {
    {0.0f, 0.07980683f, 0.13269223f, 0.1614006f, 0.17003945f, 0.16349065f, 0.14677522f, 0.12449341f, 0.100428425f,
     0.077349395f, 0.057000965f, 0.040231764f, 0.02720133f, 0.017609127f, 0.010903912f, 0.0064493516f, 0.003637392f,
     0.0019522922f, 0.0009950285f, 0.00048045607f, 0.00021925208f, 9.432258e-05f, 3.8155285e-05f, 1.4475301e-05f,
     5.1367388e-06f, 1.7005007e-06f, 5.237566e-07f, 1.4968309e-07f, 3.958472e-08f, 9.66074e-09f, 2.1698672e-09f,
     0.0f},
    {0.5f, 0.35214466f, 0.21444477f, 0.09548401f, 0.0010622941f, -0.06640107f, -0.10777146f, -0.1265206f,
     -0.12771086f, -0.11692712f, -0.09938796f, -0.079363f, -0.0599147f, -0.042907227f, -0.029190924f, -0.018870546f,
     -0.011584172f, -0.0067444984f, -0.0037180143f, -0.0019368242f, -0.0009513415f, -0.00043957846f, -0.0001906047f,
     -7.736452e-05f, -2.9319324e-05f, -1.0347779e-05f, -3.3922418e-06f, -1.0302168e-06f, -2.8908153e-07f,
     -7.474855e-08f, -1.7762764e-08f, 0.0f},
    {-0.3989436f, -0.38503477f, -0.34549445f, -0.2863584f, -0.21615386f, -0.14406693f, -0.07816484f, -0.024129124f,
     0.015258901f, 0.039909247f, 0.051724337f, 0.05371535f, 0.049189143f, 0.041151747f, 0.03196792f, 0.023245744f,
     0.015883867f, 0.01021416f, 0.0061817043f, 0.0035180866f, 0.0018800987f, 0.0009417859f, 0.0004413039f,
     0.00019301209f, 7.861263e-05f, 2.974594e-05f, 1.0431152e-05f, 3.3816486e-06f, 1.0109345e-06f, 2.779775e-07f,
     7.01247e-08f, 0.0f},
    {3.7482227e-05f, 0.048664752f, 0.08975756f, 0.11744852f, 0.12888207f, 0.12455089f, 0.107753895f, 0.083401546f,
     0.05663462f, 0.031707045f, 0.01138575f, -0.0031256825f, -0.011900118f, -0.01584217f, -0.016247278f,
     -0.014453067f, -0.011611109f, -0.008572298f, -0.0058638225f, -0.0037302307f, -0.0022097249f, -0.0012189209f,
     -0.0006255816f, -0.00029832026f, -0.0001319627f, -5.404737e-05f, -2.0453683e-05f, -7.136933e-06f,
     -2.2910083e-06f, -6.750226e-07f, -1.8212263e-07f, 0.0f},
    {0.06646396f, 0.061427604f, 0.04687775f, 0.026345534f, 0.0042622183f, -0.015078294f, -0.028631207f, -0.035183225f,
     -0.035272095f, -0.030608516f, -0.023331244f, -0.01539189f, -0.008210144f, -0.0025868833f, 0.0012154619f,
     0.0033203259f, 0.0040758117f, 0.0039159292f, 0.0032561459f, 0.0024272092f, 0.0016469568f, 0.0010245761f,
     0.0005863066f, 0.0003090024f, 0.00014999625f, 6.701784e-05f, 2.7529415e-05f, 1.0381594e-05f, 3.588013e-06f,
     1.1343669e-06f, 3.2740914e-07f, 0.0f},
};

CK_INLINE vf v_gelu_of(vf x, const float tails[5][32]) {
    const vf spacing = v_set(0.1875f), magic = v_set(12582912.0f); /* see v_round_fma: the last bits are j */
    const vf a = v_min_abs(x, v_set(31 * 0.1875f)), place = v_fma(a, v_set(1 / 0.1875f), magic);
    const vf d = v_fnma(v_sub(place, magic), spacing, a);
    vf tail = v_entry(tails[4], place);
#pragma clang loop unroll(full)
    for (int power = 3; power >= 0; power--) tail = v_fma(tail, d, v_entry(tails[power], place));
    return v_sub(v_max(v_zero(), x), tail);
}

CK_INLINE vf v_gelu(vf x) { return v_gelu_of(x, ck_gelu_tail); }
CK_INLINE vf v_gelu_tanh(vf x) { return v_gelu_of(x, ck_gelu_tanh_tail); }
#else
/*
 * P(-a) = 2^s with s a polynomial in a: minimax fit of log2 P(-a) on 0..9, weighted by P(-a)^0.75; a P(-a) is below
 * 1e-18 from there on.
 */
CK_INLINE vf v_gelu(vf x) {
    const vf a = v_min(v_set(9.0f), v_abs(x)), a2 = v_mul(a, a), a4 = v_mul(a2, a2);
    const vf s01 = v_fma(a, v_set(-1.1511048f), v_set(-1.0f));
    const vf s23 = v_fma(a, v_set(-5.246145e-2f), v_set(-4.592152e-1f));
    const vf s45 = v_fma(a, v_set(-4.1575764e-5f), v_set(6.984267e-3f));
    const vf s67 = v_fma(a, v_set(6.3509375e-5f), v_set(-2.5039178e-4f));
    const vf s89 = v_fma(a, v_set(3.6871754e-7f), v_set(-7.5389835e-6f));
    const vf high = v_fma(s89, a4, v_fma(s67, a2, s45));
    const vf s = v_fma(high, a4, v_fma(s23, a2, s01));
    const vf n = v_round_fma(s, v_set(1.0f), v_zero());
    const vf power = v_ldexp_normal(a, n);
    return v_sub(v_max(v_zero(), x), v_fma(v_exp2m1_fraction(v_sub(s, n)), power, power));
}

CK_INLINE vf v_gelu_tanh(vf x) {
    const vf cubic = v_mul(v_mul(x, x), x);
    const vf minus_2u = v_fma(cubic, v_set(-7.1354814e-2f), v_mul(x, v_set(-1.5957691f)));
    return v_div(x, v_add(v_set(1.0f), v_exp(minus_2u)));
}
#endif

CK_INLINE vf v_silu(vf x) { return v_div(x, v_add(v_set(1.0f), v_exp(v_sub(v_zero(), x)))); }
