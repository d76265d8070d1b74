/* One pass over memory for what nn/kernels.py says of edges, forward and backward, and training/optimizer.py of weights.

   Plain C, no headers of Python or PyTorch: the functions are called through ctypes with pointers to contiguous rows.
   The file includes itself, once for float and once for double. Sums run in the order of the edges, so the same input
   gives the same bits. Inner loops run over channels and are left to the compiler to vectorise. */

#ifndef REAL

#include <math.h>
#include <stdint.h>

/* One version of a function for each generation of x86-64, from which the loader takes the best. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VERSIONS
#endif

/* The version of the signatures below and in geometry.c; irrepnet/compiled.py asks for it before it calls anything else. */
int64_t irrepnet_interface(void) { return 3; }

/* e^x to two units in the last place: x = n ln 2 + r, and e^r by Taylor's series. No branch and no call, so that loops
   over it are vectorised. 0 < e^x below 2^-126 becomes 2^-126; what is too large becomes infinite; NaN stays NaN. */
static inline float exponential(float x) {
    union { float real; uint32_t bits; } shifted, power;
    x = x < -87.3f ? -87.3f : x;
    x = x > 89.0f ? 89.0f : x;
    shifted.real = x * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: the fraction is rounded away, n are the lowest bits */
    const float n = shifted.real - 12582912.0f;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts, of which one is exact */
    power.bits = (shifted.bits - 0x4b400000u + 127u) << 23;
    float y = 1.0f / 5040.0f;
    y = y * r + 1.0f / 720.0f;
    y = y * r + 1.0f / 120.0f;
    y = y * r + 1.0f / 24.0f;
    y = y * r + 1.0f / 6.0f;
    y = y * r + 0.5f;
    y = y * r + 1.0f;
    y = y * r + 1.0f;
    return y * power.real;
}

#define REAL float
#define NAME(name) name##_float
#define EXP exponential
#define SQRT sqrtf
#include "kernels.c"
#undef REAL
#undef NAME
#undef EXP
#undef SQRT
#define REAL double
#define NAME(name) name##_double
#define EXP exp
#define SQRT sqrt
#include "kernels.c"

#else

static inline REAL NAME(sigmoid)(REAL x) { return 1 / (1 + EXP(-x)); }

/* d silu(z) / dz */
static inline REAL NAME(slope)(REAL z) {
    const REAL s = NAME(sigmoid)(z);
    return s * (1 + z * (1 - s));
}

/* out_e = silu(z_e), z_e = a + b + bias + scalar[class_e], with a the first half of ends[receiver_e] and b the second half
   of ends[sender_e], and for the first ``directed`` edges also scale[class_e] * direction[e]. Returns the number of the first
   edge that points beyond its table, or -1. */
VERSIONS int64_t NAME(pair_features)(
    int64_t edges, int64_t channels, int64_t directed, int64_t nodes, int64_t classes, int64_t scaled,
    const int64_t *restrict receiver, const int64_t *restrict sender, const int64_t *restrict class_of,
    const REAL *restrict bias, const REAL *restrict ends, const REAL *restrict scalar,
    const REAL *restrict scale, const REAL *restrict direction, REAL *restrict out) {
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = receiver[e], j = sender[e], k = class_of[e];
        if (i < 0 || i >= nodes || j < 0 || j >= nodes || k < 0 || k >= classes) return e;
        if (e < directed && k >= scaled) return e;
        const REAL *a = ends + 2 * i * channels, *b = ends + (2 * j + 1) * channels, *s = scalar + k * channels;
        REAL *y = out + e * channels;
        if (e < directed) {
            const REAL *p = scale + k * channels, *d = direction + e * channels;
            for (int64_t c = 0; c < channels; c++) {
                const REAL z = a[c] + b[c] + bias[c] + s[c] + p[c] * d[c];
                y[c] = z * NAME(sigmoid)(z);
            }
        } else {
            for (int64_t c = 0; c < channels; c++) {
                const REAL z = a[c] + b[c] + bias[c] + s[c];
                y[c] = z * NAME(sigmoid)(z);
            }
        }
    }
    return -1;
}

/* From the gradient by ``out`` those by the tables, which are added up from the zeros that they hold. */
VERSIONS int64_t NAME(pair_features_backward)(
    int64_t edges, int64_t channels, int64_t directed,
    const int64_t *restrict receiver, const int64_t *restrict sender, const int64_t *restrict class_of,
    const REAL *restrict bias, const REAL *restrict ends, const REAL *restrict scalar,
    const REAL *restrict scale, const REAL *restrict direction, const REAL *restrict by_out,
    REAL *restrict by_bias, REAL *restrict by_ends, REAL *restrict by_scalar, REAL *restrict by_scale, REAL *restrict by_direction) {
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = 2 * receiver[e] * channels, j = (2 * sender[e] + 1) * channels, k = class_of[e] * channels;
        const REAL *a = ends + i, *b = ends + j, *s = scalar + k, *g = by_out + e * channels;
        REAL *by_a = by_ends + i, *by_b = by_ends + j, *by_s = by_scalar + k;
        if (e < directed) {
            const REAL *p = scale + k, *d = direction + e * channels;
            REAL *by_p = by_scale + k, *by_d = by_direction + e * channels;
            for (int64_t c = 0; c < channels; c++) {
                const REAL by_z = g[c] * NAME(slope)(a[c] + b[c] + bias[c] + s[c] + p[c] * d[c]);
                by_bias[c] += by_z;
                by_a[c] += by_z;
                by_b[c] += by_z;
                by_s[c] += by_z;
                by_p[c] += by_z * d[c];
                by_d[c] = by_z * p[c];
            }
        } else {
            for (int64_t c = 0; c < channels; c++) {
                const REAL by_z = g[c] * NAME(slope)(a[c] + b[c] + bias[c] + s[c]);
                by_bias[c] += by_z;
                by_a[c] += by_z;
                by_b[c] += by_z;
                by_s[c] += by_z;
            }
        }
    }
    return -1;
}

/* Rows q_e = (gate, value, weights) of an edge, without the bias of gate and value, become (sigma(gate), value, weights);
   mean_a = sum over the edges of a of share_e sigma(gate_e) value_e,
   moments_a^{lm,k} = sum of harmonics_e^{lm} weights_e^{lk}, lengths_a^{lk} = sqrt(mean over m of moments^2 + 1e-3).
   ``mean`` and ``moments`` hold zeros. Returns the number of the first edge that points beyond the nodes, or -1. */
VERSIONS int64_t NAME(neighbour_features)(
    int64_t edges, int64_t nodes, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *restrict receiver, const REAL *restrict share, const REAL *restrict harmonics,
    const REAL *restrict bias, REAL *restrict q, REAL *restrict mean, REAL *restrict moments, REAL *restrict lengths) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, width = 2 * channels + l_max * size;
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = receiver[e];
        if (i < 0 || i >= nodes) return e;
        REAL *gate = q + e * width, *value = gate + channels, *m = mean + i * channels;
        const REAL w = share[e], *bias_of_value = bias + channels;
        for (int64_t c = 0; c < channels; c++) {
            gate[c] = NAME(sigmoid)(gate[c] + bias[c]);
            value[c] += bias_of_value[c];
            m[c] += w * gate[c] * value[c];
        }
        const REAL *y = harmonics + e * components, *weights = value + channels;
        REAL *moment = moments + i * components * size;
        for (int64_t l = 1; l <= l_max; l++, weights += size)
            for (int64_t m = -l; m <= l; m++, y++, moment += size)
                for (int64_t k = 0; k < size; k++) moment[k] += *y * weights[k];
    }
    for (int64_t i = 0; i < nodes; i++) {
        const REAL *moment = moments + i * components * size;
        REAL *length = lengths + i * l_max * size;
        for (int64_t l = 1; l <= l_max; l++, length += size) {
            for (int64_t k = 0; k < size; k++) length[k] = 0;
            for (int64_t m = -l; m <= l; m++, moment += size)
                for (int64_t k = 0; k < size; k++) length[k] += moment[k] * moment[k];
            for (int64_t k = 0; k < size; k++) length[k] = SQRT(length[k] / (2 * l + 1) + (REAL)1e-3);
        }
    }
    return -1;
}

/* From the gradients by ``mean`` and ``lengths`` those by q and, added up from zeros, by the bias; ``q``, ``moments`` and
   ``lengths`` are what the way forward left, ``by_moments`` is space for the gradients by the moments. */
VERSIONS int64_t NAME(neighbour_features_backward)(
    int64_t edges, int64_t nodes, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *restrict receiver, const REAL *restrict share, const REAL *restrict harmonics,
    const REAL *restrict q, const REAL *restrict moments, const REAL *restrict lengths,
    const REAL *restrict by_mean, const REAL *restrict by_lengths,
    REAL *restrict by_moments, REAL *restrict by_q, REAL *restrict by_bias) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, width = 2 * channels + l_max * size;
    for (int64_t i = 0; i < nodes; i++) {
        const REAL *moment = moments + i * components * size;
        const REAL *length = lengths + i * l_max * size, *by_length = by_lengths + i * l_max * size;
        REAL *by_moment = by_moments + i * components * size;
        for (int64_t l = 1; l <= l_max; l++, length += size, by_length += size)
            for (int64_t m = -l; m <= l; m++, moment += size, by_moment += size)
                for (int64_t k = 0; k < size; k++)
                    by_moment[k] = by_length[k] / (length[k] * (2 * l + 1)) * moment[k];
    }
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = receiver[e];
        const REAL *gate = q + e * width, *value = gate + channels, *by_m = by_mean + i * channels, w = share[e];
        REAL *by_gate = by_q + e * width, *by_value = by_gate + channels, *by_bias_of_value = by_bias + channels;
        for (int64_t c = 0; c < channels; c++) {
            const REAL g = w * by_m[c], open = gate[c];
            by_value[c] = g * open;
            by_gate[c] = g * open * (1 - open) * value[c];
            by_bias[c] += by_gate[c];
            by_bias_of_value[c] += by_value[c];
        }
        const REAL *y = harmonics + e * components, *by_moment = by_moments + i * components * size;
        REAL *by_weights = by_value + channels;
        for (int64_t l = 1; l <= l_max; l++, by_weights += size) {
            for (int64_t k = 0; k < size; k++) by_weights[k] = 0;
            for (int64_t m = -l; m <= l; m++, y++, by_moment += size)
                for (int64_t k = 0; k < size; k++) by_weights[k] += *y * by_moment[k];
        }
    }
    return -1;
}

/* A step of AdamW (Loshchilov & Hutter, arXiv:1711.05101, algorithm 2) for ``count`` arrays of weights p, after their
   gradients g were scaled to a common norm of at most ``clip``; then average += forget * (p - average). An array without
   a gradient keeps its weights, moments m and v, and its number of steps. */
VERSIONS int64_t NAME(averaged_adamw)(
    int64_t count, double rate, double beta_m, double beta_v, double epsilon, double decay, double clip, double forget,
    const int64_t *restrict sizes, REAL *const *restrict p, const REAL *const *restrict g, REAL *const *restrict m,
    REAL *const *restrict v, float *const *restrict steps, REAL *const *restrict average) {
    enum { LANES = 16 };
    double square = 0;
    for (int64_t k = 0; k < count; k++) {
        if (!g[k]) continue;
        REAL sums[LANES] = {0};
        int64_t i = 0;
        for (; i + LANES <= sizes[k]; i += LANES)
            for (int64_t lane = 0; lane < LANES; lane++) sums[lane] += g[k][i + lane] * g[k][i + lane];
        for (; i < sizes[k]; i++) sums[0] += g[k][i] * g[k][i];
        for (int64_t lane = 0; lane < LANES; lane++) square += sums[lane];
    }
    const double ratio = clip / (sqrt(square) + 1e-6);
    const REAL scale = ratio > 1 ? 1 : ratio; /* NaN stays NaN */
    const REAL keep_m = beta_m, keep_v = beta_v, new_m = 1 - beta_m, new_v = 1 - beta_v, mix = forget;
    for (int64_t k = 0; k < count; k++) {
        REAL *restrict weights = p[k], *restrict mean = average[k];
        if (g[k]) {
            const double step = *steps[k] += 1;
            const REAL root = 1 / sqrt(1 - pow(beta_v, step)), offset = epsilon;
            const REAL length = rate / (1 - pow(beta_m, step)), shrink = 1 - rate * decay;
            const REAL *restrict gradient = g[k];
            REAL *restrict first = m[k], *restrict second = v[k];
            for (int64_t i = 0; i < sizes[k]; i++) {
                const REAL slope = scale * gradient[i];
                first[i] = keep_m * first[i] + new_m * slope;
                second[i] = keep_v * second[i] + new_v * slope * slope;
                weights[i] = shrink * weights[i] - length * first[i] / (SQRT(second[i]) * root + offset);
                mean[i] += mix * (weights[i] - mean[i]);
            }
        } else {
            for (int64_t i = 0; i < sizes[k]; i++) mean[i] += mix * (weights[i] - mean[i]);
        }
    }
    return -1;
}

#endif
