/* What crystals and graphs ask of atoms and edges again and again: pairs, images of sites, orbits of vectors.

   Plain C, no headers of Python: irrepnet/compiled.py calls the functions with pointers to contiguous rows. Each has a
   form of NumPy's operations beside it and says the same in the same order. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDING 1e-8 /* Å, as in crystals/neighbours.py */

typedef struct { double distance; int64_t place; } Key;
typedef struct { int64_t sender, shift[3]; double vector[3]; } Pair;

/* rint, floor and ceil of what is small enough, without a call. */
static inline double rounded(double x) { return (x + 6755399441055744.0) - 6755399441055744.0; /* 1.5 * 2^52 */ }
static inline int64_t below(double x) { return (int64_t)x - (x < (int64_t)x); }
static inline int64_t above(double x) { return -below(-x); }

static int by_distance(const void *a, const void *b) {
    const Key *p = a, *q = b;
    if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
    return p->place < q->place ? -1 : 1;
}

/* The images that a search looks at, and what it has found for one receiver. */
typedef struct {
    int64_t n, size, room;
    const double *points, *lattice;
    double *cells; /* (n, 3) fractional */
    double dual[9]; /* reciprocal vectors as rows */
    Key *keys;
    Pair *found;
} Search;

/* How many cells a radius reaches beyond each face; returns how many images of an atom it has to look at. */
static double reach_of(const Search *search, double radius, double *reach) {
    double images = 1;
    for (int i = 0; i < 3; i++) {
        const double *normal = search->dual + 3 * i;
        reach[i] = radius * sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2]) + 1e-9;
        images *= 2 * reach[i] + 1;
    }
    return images;
}

/* Whether there is memory for it. */
static int begin(Search *search, int64_t n, const double *points, const double *lattice) {
    const double *L = lattice;
    *search = (Search){.n = n, .room = 64, .points = points, .lattice = lattice};
    for (int i = 0; i < 3; i++) {
        const double *p = L + 3 * ((i + 1) % 3), *q = L + 3 * ((i + 2) % 3);
        double *normal = search->dual + 3 * i, volume = 0;
        for (int j = 0; j < 3; j++) {
            normal[j] = p[(j + 1) % 3] * q[(j + 2) % 3] - p[(j + 2) % 3] * q[(j + 1) % 3];
            volume += normal[j] * L[3 * i + j];
        }
        for (int j = 0; j < 3; j++) normal[j] /= volume;
    }
    search->cells = malloc(3 * n * sizeof(double));
    search->keys = malloc(search->room * sizeof(Key));
    search->found = malloc(search->room * sizeof(Pair));
    if (!search->cells || !search->keys || !search->found) return 0;
    for (int64_t b = 0; b < n; b++)
        for (int i = 0; i < 3; i++) {
            const double *normal = search->dual + 3 * i, *x = points + 3 * b;
            search->cells[3 * b + i] = x[0] * normal[0] + x[1] * normal[1] + x[2] * normal[2];
        }
    return 1;
}

static void end(Search *search) {
    free(search->cells);
    free(search->keys);
    free(search->found);
}

/* All within ``radius`` of atom a, sorted by distance, then by sender and shift. Whether there was memory for it. */
static int look(Search *search, int64_t a, double radius) {
    const double *L = search->lattice, *points = search->points, *cells = search->cells;
    const double largest = radius * radius * (1 + 1e-12);
    double reach[3];
    reach_of(search, radius, reach);
    search->size = 0;
    for (int64_t b = 0; b < search->n; b++) {
        int64_t low[3], high[3];
        double apart[3];
        int i = 0;
        for (; i < 3; i++) {
            const double d = cells[3 * b + i] - cells[3 * a + i];
            if (fabs(d - rounded(d)) > reach[i]) break; /* even the nearest image */
            low[i] = above(-reach[i] - d);
            high[i] = below(reach[i] - d);
            apart[i] = points[3 * b + i] - points[3 * a + i];
        }
        if (i < 3) continue;
        for (int64_t s0 = low[0]; s0 <= high[0]; s0++)
            for (int64_t s1 = low[1]; s1 <= high[1]; s1++)
                for (int64_t s2 = low[2]; s2 <= high[2]; s2++) {
                    double v[3];
                    for (i = 0; i < 3; i++) v[i] = apart[i] + (s0 * L[i] + s1 * L[3 + i] + s2 * L[6 + i]);
                    const double square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
                    if (square > largest || (a == b && !s0 && !s1 && !s2)) continue;
                    const double d = sqrt(square);
                    if (d > radius) continue;
                    if (search->size == search->room) {
                        search->room *= 2;
                        void *more = realloc(search->keys, search->room * sizeof(Key));
                        if (!more) return 0;
                        search->keys = more;
                        more = realloc(search->found, search->room * sizeof(Pair));
                        if (!more) return 0;
                        search->found = more;
                    }
                    search->keys[search->size] = (Key){d, search->size};
                    search->found[search->size++] = (Pair){b, {s0, s1, s2}, {v[0], v[1], v[2]}};
                }
    }
    qsort(search->keys, search->size, sizeof(Key), by_distance);
    return 1;
}

/* Pairs of m of the n atoms at ``points`` with all atoms and their images, in the order of receivers, then of distances,
   senders and shifts: with ``wanted`` 0 those not farther than ``radius``; else the whole shells of so many neighbours, as
   neighbour_shells of crystals/neighbours.py tells, which are first looked for within ``radius``. Returns how many there
   are, also when that is more than ``capacity`` and only those of the first receivers are written; -1 where there is no
   memory; -2 where so many images would have to be tried that a search by cells is better. The lattice has row vectors. */
int64_t pairs(
    int64_t n, int64_t m, double radius, int64_t wanted, double cutoff, double tolerance, int64_t capacity,
    const double *points, const double *lattice, const int64_t *atoms,
    int64_t *receiver, int64_t *sender, int64_t *shift, double *vector, double *distance) {
    Search search;
    double reach[3];
    int64_t count = begin(&search, n, points, lattice) ? 0 : -1;
    for (int64_t k = 0; k < m && count >= 0; k++) {
        int64_t size = 0;
        for (double within = radius;; within = within < cutoff && cutoff < 1.3 * within ? cutoff : 1.3 * within) {
            const double farthest = wanted ? within + tolerance + ROUNDING : radius;
            if (!(reach_of(&search, farthest, reach) * n * m < 4194304)) {
                count = -2;
                break;
            }
            if (!look(&search, atoms[k], farthest)) {
                count = -1;
                break;
            }
            size = search.size;
            if (!wanted) break;
            const Key *keys = search.keys;
            const double first = size ? keys[0].distance : INFINITY, nearest = first > cutoff ? first : cutoff;
            const double limit = size >= wanted && keys[wanted - 1].distance < nearest ? keys[wanted - 1].distance : nearest;
            if (!(limit <= within + ROUNDING)) continue;
            while (size && keys[size - 1].distance > limit + tolerance + ROUNDING) size--;
            break;
        }
        if (count < 0) break;
        if (count + size <= capacity)
            for (int64_t e = 0; e < size; e++) {
                const Pair *pair = search.found + search.keys[e].place;
                const int64_t row = count + e;
                receiver[row] = atoms[k];
                sender[row] = pair->sender;
                distance[row] = search.keys[e].distance;
                memcpy(shift + 3 * row, pair->shift, sizeof pair->shift);
                memcpy(vector + 3 * row, pair->vector, sizeof pair->vector);
            }
        count += size;
    }
    end(&search);
    return count;
}

/* How M operations, fractional rotations and translations, permute n sites x, and by how much each site is away from the
   mean of the positions that the others give it; ``correction`` holds zeros.
   Returns 0; 1 where the sites are not permuted within ``tolerance`` in the axes of the lattice, or not by elements. */
int64_t averaged_sites(
    int64_t n, int64_t M, double tolerance, const double *x, const int64_t *numbers, const int64_t *rotations,
    const double *translations, const double *lattice, int64_t *permutation, double *correction) {
    const double near = 1e-5, exact = near * near; /* fractional; no two atoms are so near to each other */
    char *taken = malloc(n);
    int64_t bad = !taken;
    for (int64_t g = 0; g < M && !bad; g++) {
        const int64_t *r = rotations + 9 * g;
        int64_t back[9], determinant = 0; /* the inverse rotation, by cofactors */
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++) {
                const int64_t *p = r + 3 * ((j + 1) % 3), *q = r + 3 * ((j + 2) % 3);
                back[3 * i + j] = p[(i + 1) % 3] * q[(i + 2) % 3] - p[(i + 2) % 3] * q[(i + 1) % 3];
                if (j == 0) determinant += back[3 * i] * r[i];
            }
        for (int i = 0; i < 9; i++) back[i] *= determinant; /* 1 or -1 */
        memset(taken, 0, n);
        for (int64_t a = 0; a < n && !bad; a++) {
            double image[3], residual[3] = {0}, least = INFINITY, length = 0;
            int64_t nearest = 0;
            for (int i = 0; i < 3; i++)
                image[i] = (x[3 * a] * r[3 * i] + x[3 * a + 1] * r[3 * i + 1] + x[3 * a + 2] * r[3 * i + 2]) + translations[3 * g + i];
            for (int all = 0; all < 2 && least == INFINITY; all++) /* among those that are very near, if there are any */
                for (int64_t b = 0; b < n && least > exact; b++) {
                    double away[3], square = 0;
                    int i = 0;
                    for (; i < 3; i++) {
                        away[i] = x[3 * b + i] - image[i];
                        away[i] -= rounded(away[i]);
                        if (!all && fabs(away[i]) > near) break;
                        square += away[i] * away[i];
                    }
                    if (i == 3 && square < least) {
                        least = square;
                        nearest = b;
                        memcpy(residual, away, sizeof away);
                    }
                }
            permutation[g * n + a] = nearest;
            for (int i = 0; i < 3; i++) {
                const double y = residual[0] * lattice[i] + residual[1] * lattice[3 + i] + residual[2] * lattice[6 + i];
                length += y * y;
                correction[3 * a + i] += residual[0] * back[3 * i] + residual[1] * back[3 * i + 1] + residual[2] * back[3 * i + 2];
            }
            bad = taken[nearest] || numbers[nearest] != numbers[a] || !(sqrt(length) <= tolerance);
            taken[nearest] = 1;
        }
    }
    for (int64_t k = 0; k < 3 * n; k++) correction[k] /= M;
    free(taken);
    return bad;
}

/* Orbits of vectors under finite groups: those from starts[k] on are permuted by the operations whose numbers are the
   members from groups[k] on, up to ``same`` in each component. Numbers the orbits in the order of their first vectors, and
   returns how many there are. */
int64_t vector_orbits(
    int64_t blocks, double same, const int64_t *starts, const int64_t *groups, const int64_t *members,
    const double *vectors, const double *operations, int64_t *number) {
    int64_t orbits = 0;
    for (int64_t k = 0; k < blocks; k++) {
        const int64_t start = starts[k], stop = starts[k + 1];
        for (int64_t e = start; e < stop; e++) number[e] = -1;
        for (int64_t e = start; e < stop; e++) {
            if (number[e] >= 0) continue;
            const double *v = vectors + 3 * e, square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
            const double margin = 4 * same * (sqrt(square) + same);
            for (int64_t f = e; f < stop; f++) {
                const double *w = vectors + 3 * f;
                if (number[f] >= 0 || fabs(w[0] * w[0] + w[1] * w[1] + w[2] * w[2] - square) > margin) continue;
                for (int64_t g = groups[k]; g < groups[k + 1]; g++) {
                    const double *o = operations + 9 * members[g];
                    int64_t i = 0;
                    while (i < 3 && fabs(o[3 * i] * v[0] + o[3 * i + 1] * v[1] + o[3 * i + 2] * v[2] - w[i]) < same) i++;
                    if (i == 3) {
                        number[f] = orbits;
                        break;
                    }
                }
            }
            orbits++;
        }
    }
    return orbits;
}
