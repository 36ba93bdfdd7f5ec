/* The ends of outputs: activation, scale and residual of an epilogue. Its bias is where their sums began. */

/* In this order of operands a NaN stays one. */
CK_INLINE vf v_relu(vf x) { return v_max(v_zero(), x); }

/* The ends of `count` neighbouring outputs, a constant VL but for the last ones of n. */
CK_INLINE void finish(const ck_activation activation, vf v, const float *scale, const float *residual, float *out,
                      const size_t count) {
    if (activation == CK_ACTIVATION_GELU) v = v_gelu(v);
    if (activation == CK_ACTIVATION_SILU) v = v_silu(v);
    if (activation == CK_ACTIVATION_GELU_TANH) v = v_gelu_tanh(v);
    if (activation == CK_ACTIVATION_RELU) v = v_relu(v);
    if (scale) v = v_mul(v, count == VL ? v_load(scale) : v_load_n(scale, count));
    if (residual) v = v_add(v, count == VL ? v_load(residual) : v_load_n(residual, count));
    if (count == VL) {
        v_store(out, v);
    } else {
        v_store_n(out, v, count);
    }
}
