/* What nn/kernels.py says of edges and layers, forward and backward, and training/optimizer.py of weights.

   Plain C, no headers of Python or PyTorch: the functions are called through ctypes with pointers to contiguous rows.
   The file includes itself, once for float and once for double. Sums run in the order of the edges, so the same input
   gives the same bits. Inner loops run over channels and are left to the compiler to vectorise. */

#ifndef REAL

#include <math.h>
#include <stdint.h>
#include <string.h>

/* One version of a function for each generation of x86-64, from which the loader takes the best. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define NEWEST __attribute__((target("arch=x86-64-v4")))
#define IS_NEWEST __builtin_cpu_supports("x86-64-v4")
#define MULTIPLIES __builtin_cpu_supports("x86-64-v3")
#else
#define VERSIONS
#define NEWEST
#define IS_NEWEST 0
#define MULTIPLIES 0
#endif

/* The version of the signatures below and in geometry.c; irrepnet/compiled.py asks for it before it calls anything else. */
int64_t irrepnet_interface(void) { return 4; }

/* Whether products of matrices are fast here. Elsewhere nothing that multiplies them is to be called. */
int64_t irrepnet_multiplies(void) { return MULTIPLIES != 0; }

enum { DEPTH = 256, BREADTH = 256 }; /* of a factor's part that is brought in order at once; multiples of a tile's width */

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

/* c += a b for a tile of c, which is in registers meanwhile: ``a`` (height, depth) with strides, ``b`` (depth, width
   vectors). Rows of a are three to a pointer, or there would be more pointers than registers. */
#define UNROLLED(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < n; i++)
#define TILE(name, version, height, width, bytes)                                                                         \
    typedef REAL NAME(name##_vector) __attribute__((vector_size(bytes)));                                                 \
    typedef REAL NAME(name##_row) __attribute__((vector_size(bytes), aligned(sizeof(REAL)), may_alias));                  \
    version static void NAME(name)(                                                                                       \
        int64_t depth, const REAL *restrict a, int64_t a_row, int64_t a_column, const REAL *restrict b, REAL *restrict c, \
        int64_t c_row) {                                                                                                  \
        NAME(name##_vector) sum[height][width] = {0};                                                                     \
        const REAL *third[height / 3];                                                                                    \
        UNROLLED(i, height / 3) third[i] = a + 3 * i * a_row;                                                             \
        for (int64_t k = 0; k < depth; k++, b += width * bytes / sizeof(REAL)) {                                          \
            const NAME(name##_row) *row = (const NAME(name##_row) *)b;                                                    \
            UNROLLED(i, height / 3) {                                                                                     \
                UNROLLED(r, 3) UNROLLED(j, width) sum[3 * i + r][j] += third[i][r * a_row] * row[j];                      \
                third[i] += a_column;                                                                                     \
            }                                                                                                             \
        }                                                                                                                 \
        UNROLLED(i, height) UNROLLED(j, width) ((NAME(name##_row) *)(c + i * c_row))[j] += sum[i][j];                     \
    }

/* Where messages keeps what the way back needs of nodes and classes. */
#define KEPT(type, kept)                                                            \
    type *left = kept, *inverse = left + nodes * channels, *ends = inverse + nodes; \
    type *scalar = ends + nodes * 2 * channels, *moments = scalar + classes * channels; /* (nodes, components, size) */

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

typedef void NAME(tile)(
    int64_t depth, const REAL *restrict a, int64_t a_row, int64_t a_column, const REAL *restrict b, REAL *restrict c,
    int64_t c_row);
TILE(large_tile, NEWEST, 12, 2, 64)
TILE(small_tile, VERSIONS, 6, 2, 32)

/* b (depth, columns) as strips of ``width`` columns, each (depth, width), zeros after the last column. */
VERSIONS static void NAME(strips)(
    int64_t columns, int64_t depth, int64_t width, const REAL *restrict b, int64_t b_row, int64_t b_column,
    REAL *restrict out) {
    for (int64_t j = 0; j < columns; j += width, b += width * b_column, out += width * depth) {
        const int64_t own = columns - j < width ? columns - j : width;
        if (own < width) memset(out, 0, width * depth * sizeof(REAL));
        if (b_column == 1) {
            for (int64_t k = 0; k < depth; k++)
                for (int64_t c = 0; c < own; c++) out[k * width + c] = b[k * b_row + c];
        } else {
            for (int64_t c = 0; c < own; c++)
                for (int64_t k = 0; k < depth; k++) out[k * width + c] = b[k * b_row + c * b_column];
        }
    }
}

/* c += a b with a (rows, depth), b (depth, columns), and rows of c; strides say where rows and columns begin. */
static void NAME(product)(
    int64_t rows, int64_t columns, int64_t depth, const REAL *a, int64_t a_row, int64_t a_column, const REAL *b,
    int64_t b_row, int64_t b_column, REAL *c, int64_t c_row) {
    enum { LARGEST = 12 * 2 * 64 / sizeof(REAL) };
    static _Thread_local REAL strips[DEPTH * BREADTH];
    const int64_t newest = IS_NEWEST, height = newest ? 12 : 6, width = (newest ? 128 : 64) / sizeof(REAL);
    NAME(tile) *const tile = newest ? NAME(large_tile) : NAME(small_tile);
    for (int64_t k = 0; k < depth; k += DEPTH, a += DEPTH * a_column, b += DEPTH * b_row)
        for (int64_t begin = 0; begin < columns; begin += BREADTH) {
            const int64_t d = depth - k < DEPTH ? depth - k : DEPTH;
            const int64_t breadth = columns - begin < BREADTH ? columns - begin : BREADTH;
            NAME(strips)(breadth, d, width, b + begin * b_column, b_row, b_column, strips);
            for (int64_t i = 0; i < rows; i += height) {
                REAL last[12 * DEPTH], whole[LARGEST];
                const int64_t h = rows - i;
                const REAL *own = a + i * a_row;
                int64_t own_row = a_row, own_column = a_column;
                if (h < height) { /* a tile needs all its rows */
                    for (int64_t r = 0; r < height; r++)
                        for (int64_t l = 0; l < d; l++) last[l * height + r] = r < h ? own[r * a_row + l * a_column] : 0;
                    own = last, own_row = 1, own_column = height;
                }
                for (int64_t j = 0; j < breadth; j += width) {
                    const int64_t w = breadth - j;
                    REAL *out = c + i * c_row + begin + j;
                    if (h >= height && w >= width) {
                        tile(d, own, own_row, own_column, strips + j * d, out, c_row);
                    } else {
                        memset(whole, 0, sizeof whole);
                        tile(d, own, own_row, own_column, strips + j * d, whole, width);
                        for (int64_t r = 0; r < height && r < h; r++)
                            for (int64_t s = 0; s < width && s < w; s++) out[r * c_row + s] += whole[r * width + s];
                    }
                }
            }
        }
}

/* y += x w^T for rows of x and y, w (outputs, inputs) */
static void NAME(linear)(
    int64_t rows, int64_t inputs, int64_t outputs, const REAL *x, int64_t x_row, const REAL *w, REAL *y, int64_t y_row) {
    NAME(product)(rows, outputs, inputs, x, x_row, 1, w, 1, inputs, y, y_row);
}

/* by_x += by_y w and by_w += by_y^T x, of the same */
static void NAME(linear_backward)(
    int64_t rows, int64_t inputs, int64_t outputs, const REAL *x, int64_t x_row, const REAL *w, const REAL *by_y,
    int64_t y_row, REAL *by_x, int64_t by_x_row, REAL *by_w) {
    NAME(product)(rows, inputs, outputs, by_y, y_row, 1, w, inputs, 1, by_x, by_x_row);
    NAME(product)(outputs, inputs, rows, by_y, 1, y_row, x, x_row, 1, by_w, inputs);
}

/* sum of a_i b_i */
static inline REAL NAME(dot)(int64_t n, const REAL *restrict a, const REAL *restrict b) {
    enum { LANES = 16 };
    REAL sums[LANES] = {0}, sum = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int64_t lane = 0; lane < LANES; lane++) sums[lane] += a[i + lane] * b[i + lane];
    for (; i < n; i++) sum += a[i] * b[i];
    for (int64_t lane = 0; lane < LANES; lane++) sum += sums[lane];
    return sum;
}

/* x = scale (v - mean) / sqrt(variance + epsilon) + shift in each row; ``left`` keeps (v - mean) / sqrt(...), and
   ``ones`` are as many. */
VERSIONS static void NAME(normalise)(
    int64_t rows, int64_t channels, double epsilon, const REAL *restrict v, const REAL *restrict scale,
    const REAL *restrict shift, const REAL *restrict ones, REAL *restrict left, REAL *restrict inverse, REAL *restrict x,
    int64_t x_row) {
    for (int64_t i = 0; i < rows; i++, v += channels, left += channels, x += x_row) {
        const REAL mean = NAME(dot)(channels, v, ones) / channels;
        for (int64_t c = 0; c < channels; c++) left[c] = v[c] - mean;
        const REAL root = 1 / SQRT(NAME(dot)(channels, left, left) / channels + (REAL)epsilon);
        inverse[i] = root;
        for (int64_t c = 0; c < channels; c++) {
            left[c] *= root;
            x[c] = left[c] * scale[c] + shift[c];
        }
    }
}

/* From the gradient by x, which it spoils, those by v and, added up from zeros, by scale and shift. */
VERSIONS static void NAME(normalise_backward)(
    int64_t rows, int64_t channels, const REAL *restrict scale, const REAL *restrict ones, const REAL *restrict left,
    const REAL *restrict inverse, REAL *restrict by_x, REAL *restrict by_v, REAL *restrict by_scale,
    REAL *restrict by_shift) {
    for (int64_t i = 0; i < rows; i++, left += channels, by_x += channels, by_v += channels) {
        for (int64_t c = 0; c < channels; c++) {
            by_shift[c] += by_x[c];
            by_scale[c] += by_x[c] * left[c];
            by_x[c] *= scale[c];
        }
        const REAL mean = NAME(dot)(channels, by_x, ones) / channels, along = NAME(dot)(channels, by_x, left) / channels;
        for (int64_t c = 0; c < channels; c++) by_v[c] = inverse[i] * (by_x[c] - mean - left[c] * along);
    }
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
   mean_a += sum over the edges of a of share_e sigma(gate_e) value_e,
   moments_a^{lm,k} += sum of harmonics_e^{lm} weights_e^{lk}. Returns the number of the first edge that points beyond
   the nodes, or -1. */
VERSIONS static int64_t NAME(gated_sums)(
    int64_t edges, int64_t nodes, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *restrict receiver, const REAL *restrict share, const REAL *restrict harmonics,
    const REAL *restrict bias, REAL *restrict q, REAL *restrict mean, int64_t mean_row, REAL *restrict moments) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, width = 2 * channels + l_max * size;
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = receiver[e];
        if (i < 0 || i >= nodes) return e;
        REAL *gate = q + e * width, *value = gate + channels, *m = mean + i * mean_row;
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
    return -1;
}

/* From the gradients by ``mean`` and ``moments`` those by q and, added up from zeros, by the bias; ``q`` is what the way
   forward left. */
VERSIONS static void NAME(gated_sums_backward)(
    int64_t edges, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *restrict receiver, const REAL *restrict share, const REAL *restrict harmonics, const REAL *restrict q,
    const REAL *restrict by_mean, int64_t mean_row, const REAL *restrict by_moments,
    REAL *restrict by_q, REAL *restrict by_bias) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, width = 2 * channels + l_max * size;
    for (int64_t e = 0; e < edges; e++) {
        const int64_t i = receiver[e];
        const REAL *gate = q + e * width, *value = gate + channels, *by_m = by_mean + i * mean_row, w = share[e];
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
}

/* lengths_a^{lk} = sqrt(mean over m of moments^2 + 1e-3) */
VERSIONS static void NAME(lengths)(
    int64_t nodes, int64_t l_max, int64_t size, const REAL *restrict moments, REAL *restrict lengths, int64_t row) {
    for (int64_t i = 0; i < nodes; i++, lengths += row) {
        REAL *length = lengths;
        for (int64_t l = 1; l <= l_max; l++, length += size) {
            for (int64_t k = 0; k < size; k++) length[k] = 0;
            for (int64_t m = -l; m <= l; m++, moments += size)
                for (int64_t k = 0; k < size; k++) length[k] += moments[k] * moments[k];
            for (int64_t k = 0; k < size; k++) length[k] = SQRT(length[k] / (2 * l + 1) + (REAL)1e-3);
        }
    }
}

/* From the gradients by ``lengths`` those by ``moments``. */
VERSIONS static void NAME(lengths_backward)(
    int64_t nodes, int64_t l_max, int64_t size, const REAL *restrict moments, const REAL *restrict lengths,
    const REAL *restrict by_lengths, int64_t row, REAL *restrict by_moments) {
    for (int64_t i = 0; i < nodes; i++, lengths += row, by_lengths += row) {
        const REAL *length = lengths, *by_length = by_lengths;
        for (int64_t l = 1; l <= l_max; l++, length += size, by_length += size)
            for (int64_t m = -l; m <= l; m++, moments += size, by_moments += size)
                for (int64_t k = 0; k < size; k++)
                    by_moments[k] = by_length[k] / (length[k] * (2 * l + 1)) * moments[k];
    }
}

/* Means and lengths of the above; ``mean`` and ``moments`` hold zeros. Returns what gated_sums does. */
int64_t NAME(neighbour_features)(
    int64_t edges, int64_t nodes, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *receiver, const REAL *share, const REAL *harmonics,
    const REAL *bias, REAL *q, REAL *mean, REAL *moments, REAL *lengths) {
    const int64_t wrong = NAME(gated_sums)(
        edges, nodes, channels, l_max, size, receiver, share, harmonics, bias, q, mean, channels, moments);
    NAME(lengths)(nodes, l_max, size, moments, lengths, l_max * size);
    return wrong;
}

/* From the gradients by ``mean`` and ``lengths`` those by q and, added up from zeros, by the bias; ``q``, ``moments`` and
   ``lengths`` are what the way forward left, ``by_moments`` is space for the gradients by the moments. */
int64_t NAME(neighbour_features_backward)(
    int64_t edges, int64_t nodes, int64_t channels, int64_t l_max, int64_t size,
    const int64_t *receiver, const REAL *share, const REAL *harmonics,
    const REAL *q, const REAL *moments, const REAL *lengths,
    const REAL *by_mean, const REAL *by_lengths, REAL *by_moments, REAL *by_q, REAL *by_bias) {
    NAME(lengths_backward)(nodes, l_max, size, moments, lengths, by_lengths, l_max * size, by_moments);
    NAME(gated_sums_backward)(
        edges, channels, l_max, size, receiver, share, harmonics, q, by_mean, channels, by_moments, by_q, by_bias);
    return -1;
}

/* A layer's rows u_a = (x_a, mean_a, lengths_a): x normalised v, the rest of neighbour_features of pair_features of x, with
   scalar_k = hidden_k A^T + bias. ``kept``, ``pair`` and ``q`` are for what the way back needs besides. */
int64_t NAME(messages)(
    int64_t edges, int64_t nodes, int64_t classes, int64_t channels, int64_t hidden_size, int64_t directed, int64_t scaled,
    int64_t l_max, int64_t size, int64_t block, double epsilon,
    const int64_t *receiver, const int64_t *sender, const int64_t *class_of, const REAL *share, const REAL *harmonics,
    const REAL *ones, const REAL *v, const REAL *hidden, const REAL *scale, const REAL *direction,
    const REAL *norm, const REAL *norm_bias, const REAL *of_receiver, const REAL *bias, const REAL *of_sender,
    const REAL *of_class, const REAL *class_bias, const REAL *message, const REAL *message_bias, const REAL *weight,
    REAL *u, REAL *kept, REAL *pair, REAL *q) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, more = l_max * size, width = 2 * channels + more;
    KEPT(REAL, kept)
    memset(u, 0, nodes * width * sizeof(REAL));
    memset(ends, 0, nodes * 2 * channels * sizeof(REAL));
    memset(q, 0, edges * width * sizeof(REAL));
    memset(moments, 0, nodes * components * size * sizeof(REAL));
    for (int64_t k = 0; k < classes; k++) memcpy(scalar + k * channels, class_bias, channels * sizeof(REAL));
    NAME(normalise)(nodes, channels, epsilon, v, norm, norm_bias, ones, left, inverse, u, width);
    NAME(linear)(nodes, channels, channels, u, width, of_receiver, ends, 2 * channels);
    NAME(linear)(nodes, channels, channels, u, width, of_sender, ends + channels, 2 * channels);
    NAME(linear)(classes, hidden_size, channels, hidden, hidden_size, of_class, scalar, channels);
    for (int64_t e = 0; e < edges; e += block) {
        const int64_t n = edges - e < block ? edges - e : block;
        const int64_t own = directed <= e ? 0 : directed - e < n ? directed - e : n;
        REAL *pairs = pair + e * channels, *row = q + e * width;
        int64_t wrong = NAME(pair_features)(
            n, channels, own, nodes, classes, scaled, receiver + e, sender + e, class_of + e, bias, ends, scalar, scale,
            direction + e * channels, pairs);
        if (wrong >= 0) return e + wrong;
        NAME(linear)(n, channels, 2 * channels, pairs, channels, message, row, width);
        NAME(linear)(n, channels, more, pairs, channels, weight, row + 2 * channels, width);
        NAME(gated_sums)(
            n, nodes, channels, l_max, size, receiver + e, share + e, harmonics + e * components, message_bias, row,
            u + channels, width, moments);
    }
    NAME(lengths)(nodes, l_max, size, moments, u + 2 * channels, width);
    return -1;
}

/* From the gradient by ``u`` all others, which are added up from the zeros that they hold. The way forward left its last
   arguments; ``space`` has ``block`` rows of by_q and of by_pair, and then by_x, by_moments, by_ends and by_scalar, all zeros. */
int64_t NAME(messages_backward)(
    int64_t edges, int64_t nodes, int64_t classes, int64_t channels, int64_t hidden_size, int64_t directed,
    int64_t l_max, int64_t size, int64_t block,
    const int64_t *receiver, const int64_t *sender, const int64_t *class_of, const REAL *share, const REAL *harmonics,
    const REAL *ones, const REAL *hidden, const REAL *scale, const REAL *direction,
    const REAL *norm, const REAL *of_receiver, const REAL *bias, const REAL *of_sender,
    const REAL *of_class, const REAL *message, const REAL *weight,
    const REAL *u, const REAL *kept, const REAL *pair, const REAL *q, const REAL *by_u, REAL *space,
    REAL *by_v, REAL *by_hidden, REAL *by_scale, REAL *by_direction, REAL *by_norm, REAL *by_norm_bias,
    REAL *by_of_receiver, REAL *by_bias, REAL *by_of_sender, REAL *by_of_class, REAL *by_class_bias, REAL *by_message,
    REAL *by_message_bias, REAL *by_weight) {
    const int64_t components = (l_max + 1) * (l_max + 1) - 1, more = l_max * size, width = 2 * channels + more;
    KEPT(const REAL, kept)
    REAL *by_q = space, *by_pair = by_q + block * width, *by_x = by_pair + block * channels;
    REAL *by_moments = by_x + nodes * channels, *by_ends = by_moments + nodes * components * size;
    REAL *by_scalar = by_ends + nodes * 2 * channels;
    NAME(lengths_backward)(nodes, l_max, size, moments, u + 2 * channels, by_u + 2 * channels, width, by_moments);
    for (int64_t e = 0; e < edges; e += block) {
        const int64_t n = edges - e < block ? edges - e : block;
        const int64_t own = directed <= e ? 0 : directed - e < n ? directed - e : n;
        const REAL *pairs = pair + e * channels;
        NAME(gated_sums_backward)(
            n, channels, l_max, size, receiver + e, share + e, harmonics + e * components, q + e * width, by_u + channels,
            width, by_moments, by_q, by_message_bias);
        memset(by_pair, 0, n * channels * sizeof(REAL));
        NAME(linear_backward)(
            n, channels, 2 * channels, pairs, channels, message, by_q, width, by_pair, channels, by_message);
        NAME(linear_backward)(
            n, channels, more, pairs, channels, weight, by_q + 2 * channels, width, by_pair, channels, by_weight);
        NAME(pair_features_backward)(
            n, channels, own, receiver + e, sender + e, class_of + e, bias, ends, scalar, scale, direction + e * channels,
            by_pair, by_bias, by_ends, by_scalar, by_scale, by_direction + e * channels);
    }
    memcpy(by_class_bias, by_bias, channels * sizeof(REAL)); /* both are added to every pair */
    NAME(linear_backward)(
        classes, hidden_size, channels, hidden, hidden_size, of_class, by_scalar, channels, by_hidden, hidden_size,
        by_of_class);
    for (int64_t i = 0; i < nodes; i++) memcpy(by_x + i * channels, by_u + i * width, channels * sizeof(REAL));
    NAME(linear_backward)(
        nodes, channels, channels, u, width, of_receiver, by_ends, 2 * channels, by_x, channels, by_of_receiver);
    NAME(linear_backward)(
        nodes, channels, channels, u, width, of_sender, by_ends + channels, 2 * channels, by_x, channels, by_of_sender);
    NAME(normalise_backward)(nodes, channels, norm, ones, left, inverse, by_x, by_v, by_norm, by_norm_bias);
    return -1;
}

/* s = silu(z) */
VERSIONS static void NAME(silu)(int64_t n, const REAL *restrict z, REAL *restrict s) {
    for (int64_t i = 0; i < n; i++) s[i] = z[i] * NAME(sigmoid)(z[i]);
}

/* by_z *= d silu(z) / dz, and its sum over the rows is added to the bias's gradient. */
VERSIONS static void NAME(silu_backward)(
    int64_t rows, int64_t channels, const REAL *restrict z, REAL *restrict by_z, REAL *restrict by_bias) {
    for (int64_t i = 0; i < rows; i++, z += channels, by_z += channels)
        for (int64_t c = 0; c < channels; c++) {
            by_z[c] *= NAME(slope)(z[c]);
            by_bias[c] += by_z[c];
        }
}

/* out = v + silu(z) second^T + second_bias, z = x first^T + first_bias, of rows; ``v`` is null for none. ``z`` has
   ``block`` rows more, as space. */
int64_t NAME(two_layers)(
    int64_t rows, int64_t inputs, int64_t hidden, int64_t outputs, int64_t block, const REAL *x, const REAL *v,
    const REAL *first, const REAL *first_bias, const REAL *second, const REAL *second_bias,
    REAL *z, REAL *out) {
    REAL *space = z + rows * hidden;
    for (int64_t i = 0; i < rows; i += block) {
        const int64_t n = rows - i < block ? rows - i : block;
        REAL *own = z + i * hidden, *y = out + i * outputs;
        for (int64_t r = 0; r < n; r++) {
            memcpy(own + r * hidden, first_bias, hidden * sizeof(REAL));
            for (int64_t c = 0; c < outputs; c++)
                y[r * outputs + c] = (v ? v[(i + r) * outputs + c] : 0) + second_bias[c];
        }
        NAME(linear)(n, inputs, hidden, x + i * inputs, inputs, first, own, hidden);
        NAME(silu)(n * hidden, own, space);
        NAME(linear)(n, hidden, outputs, space, hidden, second, y, outputs);
    }
    return -1;
}

/* From the gradient by ``out`` all others but that by v, which is the same, added up from the zeros that they hold; that
   by x only if there is a place for it.
   ``space`` has two times ``block`` rows of z. */
int64_t NAME(two_layers_backward)(
    int64_t rows, int64_t inputs, int64_t hidden, int64_t outputs, int64_t block, const REAL *x,
    const REAL *first, const REAL *second, const REAL *z, const REAL *by_out, REAL *space,
    REAL *by_x, REAL *by_first, REAL *by_first_bias, REAL *by_second, REAL *by_second_bias) {
    REAL *by_z = space + block * hidden;
    for (int64_t i = 0; i < rows; i += block) {
        const int64_t n = rows - i < block ? rows - i : block;
        const REAL *own = z + i * hidden, *by_y = by_out + i * outputs;
        for (int64_t r = 0; r < n; r++)
            for (int64_t c = 0; c < outputs; c++) by_second_bias[c] += by_y[r * outputs + c];
        NAME(silu)(n * hidden, own, space);
        memset(by_z, 0, n * hidden * sizeof(REAL));
        NAME(linear_backward)(n, hidden, outputs, space, hidden, second, by_y, outputs, by_z, hidden, by_second);
        NAME(silu_backward)(n, hidden, own, by_z, by_first_bias);
        const REAL *own_x = x + i * inputs;
        if (by_x) NAME(product)(n, inputs, hidden, by_z, hidden, 1, first, inputs, 1, by_x + i * inputs, inputs);
        NAME(product)(hidden, inputs, n, by_z, 1, hidden, own_x, inputs, 1, by_first, inputs);
    }
    return -1;
}

/* Of each crystal's rows v_i, which count multiplicity_i times, mean and spread = sqrt(variance + 1e-6), side by side in
   ``out``, which holds zeros; ``count`` (size) is how often they count together. Returns the number of the first row whose crystal is not there, or -1. */
VERSIONS int64_t NAME(mean_spread)(
    int64_t rows, int64_t channels, int64_t size, const int64_t *restrict crystal, const REAL *restrict multiplicity,
    const REAL *restrict v, REAL *restrict count, REAL *restrict out) {
    for (int64_t i = 0; i < rows; i++) {
        const int64_t s = crystal[i];
        if (s < 0 || s >= size) return i;
        REAL *mean = out + s * 2 * channels;
        count[s] += multiplicity[i];
        for (int64_t c = 0; c < channels; c++) mean[c] += multiplicity[i] * v[i * channels + c];
    }
    for (int64_t s = 0; s < size; s++)
        for (int64_t c = 0; c < channels; c++) out[s * 2 * channels + c] /= count[s];
    for (int64_t i = 0; i < rows; i++) {
        const REAL *mean = out + crystal[i] * 2 * channels, w = multiplicity[i] / count[crystal[i]];
        REAL *spread = out + (2 * crystal[i] + 1) * channels;
        for (int64_t c = 0; c < channels; c++) {
            const REAL away = v[i * channels + c] - mean[c];
            spread[c] += w * away * away;
        }
    }
    for (int64_t s = 0; s < size; s++)
        for (int64_t c = 0; c < channels; c++) {
            REAL *spread = out + (2 * s + 1) * channels + c;
            *spread = SQRT(*spread + (REAL)1e-6);
        }
    return -1;
}

/* From the gradient by ``out`` that by v. Deviations add up to nothing, so the variance knows the mean only through them. */
VERSIONS int64_t NAME(mean_spread_backward)(
    int64_t rows, int64_t channels, const int64_t *restrict crystal, const REAL *restrict multiplicity,
    const REAL *restrict v, const REAL *restrict count, const REAL *restrict out, const REAL *restrict by_out,
    REAL *restrict by_v) {
    for (int64_t i = 0; i < rows; i++) {
        const int64_t begin = crystal[i] * 2 * channels;
        const REAL *mean = out + begin, *spread = mean + channels, *by_mean = by_out + begin, *by_spread = by_mean + channels;
        const REAL w = multiplicity[i] / count[crystal[i]];
        for (int64_t c = 0; c < channels; c++)
            by_v[i * channels + c] = w * (by_mean[c] + by_spread[c] * (v[i * channels + c] - mean[c]) / spread[c]);
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
