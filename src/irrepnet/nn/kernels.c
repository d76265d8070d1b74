/* What nn/kernels.py says of edges and layers, forward and backward, and training/optimizer.py of weights.

   Plain C, no headers of Python or PyTorch: the functions are called through ctypes with pointers to contiguous rows.
   The file includes itself, once for float and once for double. Sums run in the order of the edges, so the same input
   gives the same bits. Inner loops run over channels and are left to the compiler to vectorise. */

#ifndef REAL

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

/* One version of a function for each generation of x86-64, from which the loader takes the best. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#define VERSIONS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define NEWEST __attribute__((target("arch=x86-64-v4")))
#define IS_NEWEST __builtin_cpu_supports("x86-64-v4")
#define MULTIPLIES __builtin_cpu_supports("x86-64-v3")
#define ROUNDS __attribute__((target("arch=x86-64-v4,avx512bf16")))
#else
#define VERSIONS
#define NEWEST
#define IS_NEWEST 0
#define MULTIPLIES 0
#endif

/* The version of the signatures below and in geometry.c; irrepnet/compiled.py asks for it before it calls anything else. */
int64_t irrepnet_interface(void) { return 6; }

/* Whether products of matrices are fast here. Elsewhere nothing that multiplies them is to be called. */
int64_t irrepnet_multiplies(void) { return MULTIPLIES != 0; }

/* Whether factors of products of floats are rounded to bfloat16; how that is set, and whether the processor can. */
static int rounding;
void irrepnet_round(int64_t on) { rounding = on != 0; }
int64_t irrepnet_rounds(void) {
#ifdef ROUNDS
    return __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

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

#ifdef ROUNDS
/* The upper half of a float, to the nearest, halves to the even one. */
static inline uint32_t rounded(float x) {
    union { float real; uint32_t bits; } one = {x};
    return (one.bits + 0x7fffu + (one.bits >> 16 & 1)) >> 16;
}

/* Two rows of 16 numbers, those at the same place side by side. */
ROUNDS static inline __m512i side_by_side(__m512 first, __m512 second) {
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    const __m512i order = _mm512_set_epi16(
        31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, both);
}

/* The transpose of 16 rows of 16 numbers, into rows that are ``step`` apart. */
ROUNDS static inline void transposed(__m512i *x, uint32_t *out, int64_t step) {
    __m512i y[16];
    UNROLLED(i, 8) {
        y[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
        y[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
    }
    UNROLLED(i, 4) UNROLLED(h, 2) { /* a quarter of columns of four rows */
        x[4 * i + 2 * h] = _mm512_unpacklo_epi64(y[4 * i + h], y[4 * i + 2 + h]);
        x[4 * i + 2 * h + 1] = _mm512_unpackhi_epi64(y[4 * i + h], y[4 * i + 2 + h]);
    }
    UNROLLED(h, 2) UNROLLED(c, 4) { /* of eight rows */
        y[8 * h + c] = _mm512_shuffle_i32x4(x[8 * h + c], x[8 * h + 4 + c], 0x88);
        y[8 * h + 4 + c] = _mm512_shuffle_i32x4(x[8 * h + c], x[8 * h + 4 + c], 0xdd);
    }
    UNROLLED(c, 8) {
        const int64_t k = c % 4 + c / 4 * 4;
        _mm512_storeu_si512(out + k * step, _mm512_shuffle_i32x4(y[c], y[8 + c], 0x88));
        _mm512_storeu_si512(out + (k + 8) * step, _mm512_shuffle_i32x4(y[c], y[8 + c], 0xdd));
    }
}

enum { ROUND_HEIGHT = 12, ROUND_WIDTH = 32 }; /* of a tile of c */

/* Rows of a (rows <= ROUND_HEIGHT, depth), as pairs of neighbours in a row; zeros after the last row and column. The
   steps to the next row and pair depend on how a lies. */
ROUNDS static void rounded_rows(
    int64_t rows, int64_t depth, const float *restrict a, int64_t a_row, int64_t a_column, uint32_t *restrict out,
    int64_t *row_step, int64_t *pair_step) {
    const int64_t pairs = (depth + 1) / 2;
    if (a_column == 1) {
        *row_step = pairs, *pair_step = 1;
        for (int64_t r = 0; r < rows; r++, a += a_row, out += pairs) {
            int64_t k = 0;
            for (; k + 32 <= depth; k += 32)
                _mm512_storeu_si512(
                    out + k / 2, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(a + k + 16), _mm512_loadu_ps(a + k)));
            for (; k < depth; k += 2) out[k / 2] = rounded(a[k]) | (k + 1 < depth ? rounded(a[k + 1]) << 16 : 0);
        }
        memset(out, 0, (ROUND_HEIGHT - rows) * pairs * sizeof *out);
    } else {
        *row_step = 1, *pair_step = 16;
        float two[2][16] = {{0}};
        for (int64_t k = 0; k < depth; k += 2, a += 2 * a_column, out += 16) {
            for (int64_t r = 0; r < rows; r++) {
                two[0][r] = a[r * a_row];
                two[1][r] = k + 1 < depth ? a[r * a_row + a_column] : 0;
            }
            _mm512_storeu_si512(out, side_by_side(_mm512_loadu_ps(two[0]), _mm512_loadu_ps(two[1])));
        }
    }
}

/* b (depth, columns) as strips of ROUND_WIDTH columns, each (pairs, ROUND_WIDTH) pairs of neighbours in a column. */
ROUNDS static void rounded_strips(
    int64_t columns, int64_t depth, const float *restrict b, int64_t b_row, int64_t b_column, uint32_t *restrict out) {
    const int64_t pairs = (depth + 1) / 2;
    for (int64_t j = 0; j < columns; j += ROUND_WIDTH, b += ROUND_WIDTH * b_column, out += ROUND_WIDTH * pairs) {
        const int64_t own = columns - j < ROUND_WIDTH ? columns - j : ROUND_WIDTH;
        if (own < ROUND_WIDTH) memset(out, 0, ROUND_WIDTH * pairs * sizeof *out);
        int64_t k = 0;
        if (b_column == 1 && own == ROUND_WIDTH)
            for (; k + 2 <= depth; k += 2)
                for (int64_t c = 0; c < ROUND_WIDTH; c += 16)
                    _mm512_storeu_si512(
                        out + k / 2 * ROUND_WIDTH + c,
                        side_by_side(_mm512_loadu_ps(b + k * b_row + c), _mm512_loadu_ps(b + (k + 1) * b_row + c)));
        if (b_row == 1 && own == ROUND_WIDTH)
            for (; k + 32 <= depth; k += 32)
                for (int64_t c = 0; c < ROUND_WIDTH; c += 16) {
                    __m512i columns_of[16];
                    UNROLLED(i, 16) {
                        const float *two = b + (c + i) * b_column + k;
                        columns_of[i] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(two + 16), _mm512_loadu_ps(two));
                    }
                    transposed(columns_of, out + k / 2 * ROUND_WIDTH + c, ROUND_WIDTH);
                }
        for (int64_t c = 0; c < own; c++)
            for (int64_t l = k; l < depth; l += 2) {
                const float *two = b + l * b_row + c * b_column;
                out[l / 2 * ROUND_WIDTH + c] = rounded(two[0]) | (l + 1 < depth ? rounded(two[b_row]) << 16 : 0);
            }
    }
}

/* TILE, of pairs. */
ROUNDS static void rounded_tile(
    int64_t pairs, const uint32_t *restrict a, int64_t row_step, int64_t pair_step, const uint32_t *restrict b,
    float *restrict c, int64_t c_row) {
    __m512 sum[ROUND_HEIGHT][2];
    const uint32_t *third[ROUND_HEIGHT / 3];
    UNROLLED(i, ROUND_HEIGHT) UNROLLED(j, 2) sum[i][j] = _mm512_setzero_ps();
    UNROLLED(i, ROUND_HEIGHT / 3) third[i] = a + 3 * i * row_step;
    for (int64_t k = 0; k < pairs; k++, b += ROUND_WIDTH) {
        const __m512bh row[2] = {(__m512bh)_mm512_loadu_si512(b), (__m512bh)_mm512_loadu_si512(b + 16)};
        UNROLLED(i, ROUND_HEIGHT / 3) {
            UNROLLED(r, 3) {
                const __m512bh one = (__m512bh)_mm512_set1_epi32(third[i][r * row_step]);
                UNROLLED(j, 2) sum[3 * i + r][j] = _mm512_dpbf16_ps(sum[3 * i + r][j], one, row[j]);
            }
            third[i] += pair_step;
        }
    }
    UNROLLED(i, ROUND_HEIGHT) UNROLLED(j, 2) {
        float *own = c + i * c_row + 16 * j;
        _mm512_storeu_ps(own, _mm512_add_ps(_mm512_loadu_ps(own), sum[i][j]));
    }
}

/* What product does, of rounded factors. */
static void rounded_product(
    int64_t rows, int64_t columns, int64_t depth, const float *a, int64_t a_row, int64_t a_column, const float *b,
    int64_t b_row, int64_t b_column, float *c, int64_t c_row) {
    static _Thread_local uint32_t strips[DEPTH / 2 * BREADTH] __attribute__((aligned(64)));
    static _Thread_local uint32_t own_rows[DEPTH / 2 * 16] __attribute__((aligned(64)));
    for (int64_t k = 0; k < depth; k += DEPTH, a += DEPTH * a_column, b += DEPTH * b_row)
        for (int64_t begin = 0; begin < columns; begin += BREADTH) {
            const int64_t d = depth - k < DEPTH ? depth - k : DEPTH, pairs = (d + 1) / 2;
            const int64_t breadth = columns - begin < BREADTH ? columns - begin : BREADTH;
            rounded_strips(breadth, d, b + begin * b_column, b_row, b_column, strips);
            for (int64_t i = 0; i < rows; i += ROUND_HEIGHT) { /* the strips stay in the second cache meanwhile */
                const int64_t height = rows - i < ROUND_HEIGHT ? rows - i : ROUND_HEIGHT;
                int64_t row_step, pair_step;
                rounded_rows(height, d, a + i * a_row, a_row, a_column, own_rows, &row_step, &pair_step);
                for (int64_t j = 0; j < breadth; j += ROUND_WIDTH) {
                    float *out = c + i * c_row + begin + j;
                    if (height == ROUND_HEIGHT && breadth - j >= ROUND_WIDTH) {
                        rounded_tile(pairs, own_rows, row_step, pair_step, strips + j * pairs, out, c_row);
                    } else {
                        float whole[ROUND_HEIGHT * ROUND_WIDTH] = {0};
                        rounded_tile(pairs, own_rows, row_step, pair_step, strips + j * pairs, whole, ROUND_WIDTH);
                        for (int64_t r = 0; r < height; r++)
                            for (int64_t s = 0; s < ROUND_WIDTH && s < breadth - j; s++)
                                out[r * c_row + s] += whole[r * ROUND_WIDTH + s];
                    }
                }
            }
        }
}
#else
#define rounded_product(...) (void)0
#endif

/* Where messages keeps what the way back needs of nodes and classes. */
#define KEPT(type, kept)                                                            \
    type *left = kept, *inverse = left + nodes * channels, *ends = inverse + nodes; \
    type *scalar = ends + nodes * 2 * channels, *moments = scalar + classes * channels; /* (nodes, components, size) */

/* Parts of a vector and a 3x3 tensor: v, tr M / 3, the antisymmetric and the traceless part, the latter two by the
   components i < j and i <= j. How many, how many before, and how often the last are in a square. */
enum { PARTS = 4, COMPONENTS = 13 };
static const int SIZES[PARTS] = {3, 1, 3, 6}, BEFORE[PARTS] = {0, 3, 4, 7}, TWICE[6] = {1, 2, 2, 1, 2, 1};

/* Rows of each part of node n in tables of all nodes, part after part. */
#define ROWS(type, name, table, n)                                    \
    type name[PARTS];                                                 \
    for (int k = 0; k < PARTS; k++) name[k] = (table) + (nodes * BEFORE[k] + (n) * SIZES[k]) * channels;

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
    if (sizeof(REAL) == sizeof(float) && rounding) {
        rounded_product(
            rows, columns, depth, (const float *)a, a_row, a_column, (const float *)b, b_row, b_column, (float *)c, c_row);
        return;
    }
    enum { LARGEST = 12 * 2 * 64 / sizeof(REAL) };
    static _Thread_local REAL strips[DEPTH * BREADTH] __attribute__((aligned(64)));
    const int64_t newest = IS_NEWEST, height = newest ? 12 : 6, width = (newest ? 128 : 64) / sizeof(REAL);
    NAME(tile) *const tile = newest ? NAME(large_tile) : NAME(small_tile);
    for (int64_t k = 0; k < depth; k += DEPTH, a += DEPTH * a_column, b += DEPTH * b_row)
        for (int64_t begin = 0; begin < columns; begin += BREADTH) {
            const int64_t d = depth - k < DEPTH ? depth - k : DEPTH;
            const int64_t breadth = columns - begin < BREADTH ? columns - begin : BREADTH;
            NAME(strips)(breadth, d, width, b + begin * b_column, b_row, b_column, strips);
            const int64_t full = rows / height * height, own_rows = rows - full;
            REAL last[12 * DEPTH], whole[LARGEST]; /* a tile needs all its rows */
            for (int64_t l = 0; l < d && own_rows; l++)
                for (int64_t r = 0; r < height; r++)
                    last[l * height + r] = r < own_rows ? a[(full + r) * a_row + l * a_column] : 0;
            for (int64_t j = 0; j < breadth; j += width) { /* a strip stays in the first cache meanwhile */
                const int64_t w = breadth - j;
                for (int64_t i = 0; i < rows; i += height) {
                    const int is_full = i < full;
                    const REAL *own = is_full ? a + i * a_row : last;
                    const int64_t own_row = is_full ? a_row : 1, own_column = is_full ? a_column : height;
                    REAL *out = c + i * c_row + begin + j;
                    if (is_full && w >= width) {
                        tile(d, own, own_row, own_column, strips + j * d, out, c_row);
                    } else {
                        memset(whole, 0, sizeof whole);
                        tile(d, own, own_row, own_column, strips + j * d, whole, width);
                        for (int64_t r = 0; r < height && i + r < rows; r++)
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

/* Vectors v and 3x3 tensors M of sites and how they go along edges, nn/site_tensors.py: rows t = (v, M) of 12 with
   ``channels`` each. out += operation t, v' = R v and M' = R M R^T; with ``transposed`` by R^T. */
static inline void NAME(turn)(
    int64_t channels, const REAL *restrict operation, int transposed, const REAL *restrict t, REAL *restrict out) {
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            const REAL r = transposed ? operation[3 * j + i] : operation[3 * i + j];
            for (int64_t c = 0; c < channels; c++) out[i * channels + c] += r * t[j * channels + c];
            for (int k = 0; k < 3; k++)
                for (int l = 0; l < 3; l++) {
                    const REAL s = r * (transposed ? operation[3 * l + k] : operation[3 * k + l]);
                    if (s == 0) continue; /* most of them, where axes lead to axes */
                    REAL *o = out + (3 + 3 * i + k) * channels;
                    const REAL *m = t + (3 + 3 * j + l) * channels;
                    for (int64_t c = 0; c < channels; c++) o[c] += s * m[c];
                }
        }
}

/* Three rows: r.v, r.M r and tr M. */
static inline void NAME(along)(
    int64_t channels, const REAL *restrict r, const REAL *restrict t, REAL *restrict out) {
    for (int64_t c = 0; c < 3 * channels; c++) out[c] = 0;
    for (int i = 0; i < 3; i++) {
        for (int64_t c = 0; c < channels; c++) out[c] += r[i] * t[i * channels + c];
        for (int j = 0; j < 3; j++) {
            const REAL *m = t + (3 + 3 * i + j) * channels, square = r[i] * r[j];
            for (int64_t c = 0; c < channels; c++) out[channels + c] += square * m[c];
        }
        for (int64_t c = 0; c < channels; c++) out[2 * channels + c] += t[(3 + 4 * i) * channels + c];
    }
}

/* by_t += what the gradient by these three rows says. */
static inline void NAME(along_backward)(
    int64_t channels, const REAL *restrict r, const REAL *restrict by_out, REAL *restrict by_t) {
    for (int i = 0; i < 3; i++) {
        for (int64_t c = 0; c < channels; c++) by_t[i * channels + c] += r[i] * by_out[c];
        for (int j = 0; j < 3; j++) {
            REAL *by_m = by_t + (3 + 3 * i + j) * channels, square = r[i] * r[j];
            for (int64_t c = 0; c < channels; c++) by_m[c] += square * by_out[channels + c];
        }
        for (int64_t c = 0; c < channels; c++) by_t[(3 + 4 * i) * channels + c] += by_out[2 * channels + c];
    }
}

/* sent_e = operation_e t_sender, and along_e: three rows of sent_e, then of t_receiver; ``sent`` holds zeros. Returns the
   first edge that points beyond the nodes, or -1. */
VERSIONS int64_t NAME(sent_tensors)(
    int64_t edges, int64_t nodes, int64_t channels, const int64_t *restrict receiver, const int64_t *restrict sender,
    const REAL *restrict unit, const REAL *restrict operation, const REAL *restrict t, REAL *restrict sent,
    REAL *restrict along) {
    for (int64_t e = 0; e < edges; e++, sent += 12 * channels, along += 6 * channels) {
        const int64_t i = receiver[e], j = sender[e];
        if (i < 0 || i >= nodes || j < 0 || j >= nodes) return e;
        NAME(turn)(channels, operation + 9 * e, 0, t + 12 * j * channels, sent);
        NAME(along)(channels, unit + 3 * e, sent, along);
        NAME(along)(channels, unit + 3 * e, t + 12 * i * channels, along + 3 * channels);
    }
    return -1;
}

/* From the gradients by ``sent``, which it spoils, and ``along`` that by t, added up from zeros. */
VERSIONS int64_t NAME(sent_tensors_backward)(
    int64_t edges, int64_t channels, const int64_t *restrict receiver, const int64_t *restrict sender,
    const REAL *restrict unit, const REAL *restrict operation, REAL *restrict by_sent, const REAL *restrict by_along,
    REAL *restrict by_t) {
    for (int64_t e = 0; e < edges; e++, by_sent += 12 * channels, by_along += 6 * channels) {
        NAME(along_backward)(channels, unit + 3 * e, by_along, by_sent);
        NAME(turn)(channels, operation + 9 * e, 1, by_sent, by_t + 12 * sender[e] * channels);
        NAME(along_backward)(channels, unit + 3 * e, by_along + 3 * channels, by_t + 12 * receiver[e] * channels);
    }
    return -1;
}

/* The parts of t = (v, M): 3 rows v, then of M tr M / 3, 3 rows of the antisymmetric and 6 of the traceless part, each
   ``step`` rows after the last of the same part. */
static inline void NAME(split)(int64_t channels, const REAL *restrict t, REAL *const *restrict x) {
    const REAL *m = t + 3 * channels;
    for (int64_t c = 0; c < 3 * channels; c++) x[0][c] = t[c];
    for (int64_t c = 0; c < channels; c++) {
        const REAL *a = m + c, third = (a[0] + a[4 * channels] + a[8 * channels]) / 3;
        x[1][c] = third;
        int off = 0, on = 0;
        for (int i = 0; i < 3; i++)
            for (int j = i; j < 3; j++) {
                const REAL one = a[(3 * i + j) * channels], other = a[(3 * j + i) * channels];
                if (j > i) x[2][off++ * channels + c] = (one - other) / 2;
                x[3][on++ * channels + c] = j > i ? (one + other) / 2 : one - third;
            }
    }
}

/* by_t += the same from the gradients by the parts. */
static inline void NAME(split_backward)(int64_t channels, const REAL *const *restrict by_x, REAL *restrict by_t) {
    REAL *by_m = by_t + 3 * channels;
    for (int64_t c = 0; c < 3 * channels; c++) by_t[c] += by_x[0][c];
    for (int64_t c = 0; c < channels; c++) {
        const REAL *s = by_x[3] + c;
        const REAL third = (by_x[1][c] - s[0] - s[3 * channels] - s[5 * channels]) / 3;
        int off = 0, on = 0;
        for (int i = 0; i < 3; i++)
            for (int j = i; j < 3; j++) {
                const REAL g = s[on++ * channels];
                if (j > i) {
                    const REAL h = by_x[2][off++ * channels + c];
                    by_m[(3 * i + j) * channels + c] += (g + h) / 2;
                    by_m[(3 * j + i) * channels + c] += (g - h) / 2;
                } else {
                    by_m[(3 * i + j) * channels + c] += g + third;
                }
            }
    }
}

/* t = (v, M) of parts x, each times its gate; no gates are ones. */
static inline void NAME(unite)(
    int64_t channels, const REAL *const *restrict x, const REAL *restrict gates, REAL *restrict t) {
    for (int64_t c = 0; c < channels; c++) {
        REAL g[PARTS];
        for (int k = 0; k < PARTS; k++) g[k] = gates ? gates[k * channels + c] : 1;
        for (int i = 0; i < 3; i++) t[i * channels + c] = g[0] * x[0][i * channels + c];
        int off = 0, on = 0;
        for (int i = 0; i < 3; i++)
            for (int j = i; j < 3; j++) {
                const REAL s = g[3] * x[3][on++ * channels + c];
                if (j > i) {
                    const REAL a = g[2] * x[2][off++ * channels + c];
                    t[(3 + 3 * i + j) * channels + c] = s + a;
                    t[(3 + 3 * j + i) * channels + c] = s - a;
                } else {
                    t[(3 + 4 * i) * channels + c] = s + g[1] * x[1][c];
                }
            }
    }
}

/* From the gradient by t those by x and, if there is a place for it, by the gates. */
static inline void NAME(unite_backward)(
    int64_t channels, const REAL *const *restrict x, const REAL *restrict gates, const REAL *restrict by_t,
    REAL *const *restrict by_x, REAL *restrict by_gates) {
    for (int64_t c = 0; c < channels; c++) {
        REAL g[PARTS], by_g[PARTS] = {0};
        for (int k = 0; k < PARTS; k++) g[k] = gates ? gates[k * channels + c] : 1;
        for (int i = 0; i < 3; i++) {
            const REAL own = by_t[i * channels + c];
            by_x[0][i * channels + c] = g[0] * own;
            by_g[0] += own * x[0][i * channels + c];
        }
        REAL trace = 0;
        int off = 0, on = 0;
        for (int i = 0; i < 3; i++)
            for (int j = i; j < 3; j++) {
                const REAL one = by_t[(3 + 3 * i + j) * channels + c], other = by_t[(3 + 3 * j + i) * channels + c];
                const REAL even = j > i ? one + other : one;
                if (j > i) {
                    by_x[2][off * channels + c] = g[2] * (one - other);
                    by_g[2] += (one - other) * x[2][off++ * channels + c];
                } else {
                    trace += one;
                }
                by_x[3][on * channels + c] = g[3] * even;
                by_g[3] += even * x[3][on++ * channels + c];
            }
        by_x[1][c] = g[1] * trace;
        by_g[1] = trace * x[1][c];
        if (by_gates)
            for (int k = 0; k < PARTS; k++) by_gates[k * channels + c] = by_g[k];
    }
}

/* y_a = allowed_a of the sum over the edges of a of share_e (vector, matrix)_e,
     vector = f1 r + f2 v + f3 M r,  matrix = f4 r r^T + f5 M + f6 v r^T + f7 r v^T,
   with (v, M) what is sent along and f in the order 1, 4, 2, 3, 5, 6, 7; without ``sent`` only f1 and f4. Beside it the
   squared norms of y's parts, of the isotropic one tr M / sqrt 3. ``mean`` and y hold zeros. Returns what sent_tensors does. */
VERSIONS int64_t NAME(arrived_tensors)(
    int64_t edges, int64_t nodes, int64_t channels, const int64_t *restrict receiver, const REAL *restrict share,
    const REAL *restrict unit, const REAL *restrict allowed, const REAL *restrict f, const REAL *restrict sent,
    REAL *restrict mean, REAL *restrict y, REAL *restrict norms) {
    const int64_t n_f = sent ? 7 : 2, C = channels;
    for (int64_t e = 0; e < edges; e++, f += n_f * C) {
        if (receiver[e] < 0 || receiver[e] >= nodes) return e;
        REAL *to = mean + 12 * receiver[e] * C;
        const REAL *r = unit + 3 * e, w = share[e], *v = sent ? sent + 12 * e * C : 0, *m = v ? v + 3 * C : 0;
        for (int i = 0; i < 3; i++) {
            const REAL a = w * r[i];
            for (int64_t c = 0; c < C; c++) to[i * C + c] += a * f[c];
            if (v)
                for (int64_t c = 0; c < C; c++) {
                    const REAL turned = m[3 * i * C + c] * r[0] + m[(3 * i + 1) * C + c] * r[1] + m[(3 * i + 2) * C + c] * r[2];
                    to[i * C + c] += w * (f[2 * C + c] * v[i * C + c] + f[3 * C + c] * turned);
                }
            for (int j = 0; j < 3; j++) {
                REAL *out = to + (3 + 3 * i + j) * C, square = a * r[j], b = w * r[j];
                for (int64_t c = 0; c < C; c++) out[c] += square * f[C + c];
                if (v)
                    for (int64_t c = 0; c < C; c++)
                        out[c] += w * f[4 * C + c] * m[(3 * i + j) * C + c] + b * f[5 * C + c] * v[i * C + c]
                            + a * f[6 * C + c] * v[j * C + c];
            }
        }
    }
    for (int64_t n = 0; n < nodes; n++, allowed += 144, mean += 12 * C, y += 12 * C, norms += 4 * C) {
        for (int i = 0; i < 12; i++)
            for (int j = 0; j < 12; j++) {
                const REAL p = allowed[12 * i + j];
                if (p == 0) continue;
                for (int64_t c = 0; c < C; c++) y[i * C + c] += p * mean[j * C + c];
            }
        REAL space[COMPONENTS * C], *const x[PARTS] = {space, space + 3 * C, space + 4 * C, space + 7 * C};
        NAME(split)(C, y, x);
        for (int64_t c = 0; c < C; c++) {
            REAL *own = norms + c;
            own[C] = SQRT((REAL)3) * x[1][c];
            own[0] = own[2 * C] = own[3 * C] = 0;
            for (int i = 0; i < 3; i++) own[0] += x[0][i * C + c] * x[0][i * C + c];
            for (int i = 0; i < 3; i++) own[2 * C] += 2 * x[2][i * C + c] * x[2][i * C + c];
            for (int i = 0; i < 6; i++) own[3 * C] += TWICE[i] * x[3][i * C + c] * x[3][i * C + c];
        }
    }
    return -1;
}

/* From the gradients by y and its norms those by f and, if there is a place for it, by ``sent``; ``by_mean`` is space and holds
   zeros, as by_f and by_sent do. */
VERSIONS int64_t NAME(arrived_tensors_backward)(
    int64_t edges, int64_t nodes, int64_t channels, const int64_t *restrict receiver, const REAL *restrict share,
    const REAL *restrict unit, const REAL *restrict allowed, const REAL *restrict f, const REAL *restrict sent,
    const REAL *restrict y, const REAL *restrict by_y, const REAL *restrict by_norms, REAL *restrict by_mean,
    REAL *restrict by_f, REAL *restrict by_sent) {
    const int64_t n_f = sent ? 7 : 2, C = channels;
    for (int64_t n = 0; n < nodes; n++, allowed += 144, y += 12 * C, by_y += 12 * C, by_norms += 4 * C) {
        REAL space[COMPONENTS * C], *const x[PARTS] = {space, space + 3 * C, space + 4 * C, space + 7 * C}, all[12 * C];
        NAME(split)(C, y, x);
        for (int64_t c = 0; c < C; c++) {
            const REAL *own = by_norms + c;
            for (int i = 0; i < 3; i++) x[0][i * C + c] *= 2 * own[0];
            x[1][c] = SQRT((REAL)3) * own[C];
            for (int i = 0; i < 3; i++) x[2][i * C + c] *= 4 * own[2 * C];
            for (int i = 0; i < 6; i++) x[3][i * C + c] *= 2 * TWICE[i] * own[3 * C];
        }
        memcpy(all, by_y, 12 * C * sizeof(REAL));
        NAME(split_backward)(C, (const REAL *const *)x, all);
        REAL *by = by_mean + 12 * n * C;
        for (int i = 0; i < 12; i++)
            for (int j = 0; j < 12; j++) {
                const REAL p = allowed[12 * i + j];
                if (p == 0) continue;
                for (int64_t c = 0; c < C; c++) by[j * C + c] += p * all[i * C + c];
            }
    }
    for (int64_t e = 0; e < edges; e++, f += n_f * C, by_f += n_f * C) {
        const REAL *g = by_mean + 12 * receiver[e] * C, *r = unit + 3 * e, w = share[e];
        const REAL *v = sent ? sent + 12 * e * C : 0, *m = v ? v + 3 * C : 0;
        REAL *by_v = sent ? by_sent + 12 * e * C : 0, *by_m = by_v ? by_v + 3 * C : 0;
        for (int i = 0; i < 3; i++) {
            const REAL a = w * r[i], *by_i = g + i * C;
            for (int64_t c = 0; c < C; c++) by_f[c] += a * by_i[c];
            if (v)
                for (int64_t c = 0; c < C; c++) {
                    const REAL turned = m[3 * i * C + c] * r[0] + m[(3 * i + 1) * C + c] * r[1] + m[(3 * i + 2) * C + c] * r[2];
                    by_f[2 * C + c] += w * by_i[c] * v[i * C + c];
                    by_f[3 * C + c] += w * by_i[c] * turned;
                    by_v[i * C + c] += w * by_i[c] * f[2 * C + c];
                }
            for (int j = 0; j < 3; j++) {
                const REAL *by = g + (3 + 3 * i + j) * C, square = a * r[j], b = w * r[j];
                for (int64_t c = 0; c < C; c++) by_f[C + c] += square * by[c];
                if (v)
                    for (int64_t c = 0; c < C; c++) {
                        by_f[4 * C + c] += w * by[c] * m[(3 * i + j) * C + c];
                        by_f[5 * C + c] += b * by[c] * v[i * C + c];
                        by_f[6 * C + c] += a * by[c] * v[j * C + c];
                        by_m[(3 * i + j) * C + c] += w * by[c] * f[4 * C + c] + b * by_i[c] * f[3 * C + c];
                        by_v[i * C + c] += b * by[c] * f[5 * C + c];
                        by_v[j * C + c] += a * by[c] * f[6 * C + c];
                    }
            }
        }
    }
    return -1;
}

/* out += (v, M)(w, N) = (M w, M N + v w^T) */
static inline void NAME(multiply)(int64_t C, const REAL *restrict left, const REAL *restrict right, REAL *restrict out) {
    const REAL *v = left, *m = left + 3 * C, *w = right, *n = right + 3 * C;
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) {
            REAL *own = out + (3 + 3 * i + j) * C;
            for (int64_t c = 0; c < C; c++) {
                out[i * C + c] += m[(3 * i + j) * C + c] * w[j * C + c];
                own[c] += v[i * C + c] * w[j * C + c] + m[3 * i * C + c] * n[j * C + c]
                    + m[(3 * i + 1) * C + c] * n[(3 + j) * C + c] + m[(3 * i + 2) * C + c] * n[(6 + j) * C + c];
            }
        }
}

/* out_a = gates_a (W y_a + (W' y_a) (W'' y_a)): ``mix``, ``left`` and ``right``, for each
   part (channels, channels), are W, W' and W''. ``x`` and ``z``, which holds zeros, are for the parts of y_a and of the three. */
VERSIONS int64_t NAME(updated_tensors)(
    int64_t nodes, int64_t channels, const REAL *y, const REAL *mix, const REAL *left, const REAL *right,
    const REAL *gates, REAL *x, REAL *z, REAL *out) {
    const int64_t C = channels, all = nodes * COMPONENTS * C;
    for (int64_t n = 0; n < nodes; n++) {
        ROWS(REAL *, own, x, n)
        NAME(split)(C, y + 12 * n * C, own);
    }
    const REAL *const weights[3] = {mix, left, right};
    for (int which = 0; which < 3; which++)
        for (int k = 0; k < PARTS; k++) {
            const int64_t first = nodes * BEFORE[k] * C;
            NAME(product)(
                nodes * SIZES[k], C, C, x + first, C, 1, weights[which] + k * C * C, C, 1, z + which * all + first, C);
        }
    for (int64_t n = 0; n < nodes; n++) {
        REAL made[3][12 * C], parts[COMPONENTS * C], *const sum[PARTS] = {parts, parts + 3 * C, parts + 4 * C, parts + 7 * C};
        for (int which = 0; which < 3; which++) {
            ROWS(const REAL *, own, z + which * all, n)
            NAME(unite)(C, own, 0, made[which]);
        }
        NAME(multiply)(C, made[1], made[2], made[0]);
        NAME(split)(C, made[0], sum);
        NAME(unite)(C, (const REAL *const *)sum, gates + 4 * n * C, out + 12 * n * C);
    }
    return -1;
}

/* From the gradient by ``out`` all others; those by y and by the weights are added up from the zeros that they hold. ``by_z`` is
   space as large as z, ``by_x`` as large as x, zeros. */
VERSIONS int64_t NAME(updated_tensors_backward)(
    int64_t nodes, int64_t channels, const REAL *mix, const REAL *left, const REAL *right, const REAL *gates,
    const REAL *x, const REAL *z, const REAL *by_out, REAL *by_x, REAL *by_z, REAL *by_y, REAL *by_mix, REAL *by_left,
    REAL *by_right, REAL *by_gates) {
    const int64_t C = channels, all = nodes * COMPONENTS * C;
    for (int64_t n = 0; n < nodes; n++) {
        REAL made[3][12 * C], by[3][12 * C], parts[2][COMPONENTS * C];
        REAL *const sum[PARTS] = {parts[0], parts[0] + 3 * C, parts[0] + 4 * C, parts[0] + 7 * C};
        REAL *const by_sum[PARTS] = {parts[1], parts[1] + 3 * C, parts[1] + 4 * C, parts[1] + 7 * C};
        for (int which = 0; which < 3; which++) {
            ROWS(const REAL *, own, z + which * all, n)
            NAME(unite)(C, own, 0, made[which]);
        }
        NAME(multiply)(C, made[1], made[2], made[0]);
        NAME(split)(C, made[0], sum);
        NAME(unite_backward)(
            C, (const REAL *const *)sum, gates + 4 * n * C, by_out + 12 * n * C, by_sum, by_gates + 4 * n * C);
        memset(by, 0, sizeof by);
        NAME(split_backward)(C, (const REAL *const *)by_sum, by[0]);
        const REAL *v = made[1], *m = v + 3 * C, *w = made[2], *t = w + 3 * C;
        REAL *by_v = by[1], *by_m = by_v + 3 * C, *by_w = by[2], *by_t = by_w + 3 * C;
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                const REAL *g = by[0] + (3 + 3 * i + j) * C, *h = by[0] + i * C;
                for (int64_t c = 0; c < C; c++) {
                    by_m[(3 * i + j) * C + c] += h[c] * w[j * C + c];
                    by_w[j * C + c] += h[c] * m[(3 * i + j) * C + c] + g[c] * v[i * C + c];
                    by_v[i * C + c] += g[c] * w[j * C + c];
                    for (int k = 0; k < 3; k++) {
                        by_m[(3 * i + k) * C + c] += g[c] * t[(3 * k + j) * C + c];
                        by_t[(3 * k + j) * C + c] += g[c] * m[(3 * i + k) * C + c];
                    }
                }
            }
        for (int which = 0; which < 3; which++) {
            ROWS(const REAL *, own, z + which * all, n)
            ROWS(REAL *, by_own, by_z + which * all, n)
            NAME(unite_backward)(C, own, 0, by[which], by_own, 0);
        }
    }
    const REAL *const weights[3] = {mix, left, right};
    REAL *const by_weights[3] = {by_mix, by_left, by_right};
    for (int which = 0; which < 3; which++)
        for (int k = 0; k < PARTS; k++) {
            const int64_t first = nodes * BEFORE[k] * C, rows = nodes * SIZES[k];
            const REAL *own = by_z + which * all + first;
            NAME(product)(C, C, rows, x + first, 1, C, own, C, 1, by_weights[which] + k * C * C, C);
            NAME(product)(rows, C, C, own, C, 1, weights[which] + k * C * C, 1, C, by_x + first, C);
        }
    for (int64_t n = 0; n < nodes; n++) {
        ROWS(const REAL *, own, by_x, n)
        NAME(split_backward)(C, own, by_y + 12 * n * C);
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
