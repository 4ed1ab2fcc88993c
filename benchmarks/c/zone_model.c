/* Couzin's zone model in three dimensions, one thread, written for speed alone: the yardstick of the engine.
 *
 *   zone_model [agents] [steps] [repeats]     prints agent-steps/s and neighbours per agent
 *   zone_model --check                        compares one step with all pairs
 *
 * Periodic cube; repulsion, orientation and attraction radii 1, 4 and 5; density such that 30 neighbours lie
 * within 5 when uniform; the blind cone (half-angle 45 degrees, behind) hides orientation and attraction but not
 * repulsion; speed 3, time step 0.1, turn at most 4 degrees a step (exact rotation); noise of 0.05 rad on the
 * wanted direction before the turn limit. Timed: binning, sort, search, rule, noise, move. Needs AVX-512.
 */
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIELDS 6 /* x y z ux uy uz */
#define PAD 16

static const double REPULSION2 = 1.0, ORIENTATION2 = 16.0, REACH = 5.0, REACH2 = 25.0;
static const double STEP_LENGTH = 0.3, NOISE = 0.05, MEAN_NEIGHBOURS = 30.0;
#define TURN (4.0 * M_PI / 180.0)
#define BLIND (-0.70710678118654752440)

typedef struct {
    int n, side, cells;
    double box;
    double *state[FIELDS], *spare[FIELDS], *wanted[3], *noise[3];
    int32_t *id, *spare_id, *cell, *start, *cursor;
    double *candidate[FIELDS];
    int32_t *survivor;
    int capacity;
    uint32_t key;
    int64_t neighbours;
    double ns[5];
} Model;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec;
}

static void *aligned(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 127) / 64 * 64);
    if (!p) exit(1);
    memset(p, 0, bytes);
    return p;
}

/* Philox4x32-10 (Salmon et al. 2011), the counter being (id, step, block, 0). */
static inline void philox(uint32_t id, uint32_t step, uint32_t block, uint32_t key, uint32_t out[4]) {
    uint32_t c0 = id, c1 = step, c2 = block, c3 = 0, k0 = key, k1 = 0x243F6A88u;
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(b >> 32) ^ c1 ^ k0, n2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
}

/* Three normals per agent by Box-Muller; loops kept apart so that each becomes vector code (libmvec). */
static void draw_noise(Model *m, uint32_t step) {
    int n = m->n;
    double *restrict gx = m->noise[0], *restrict gy = m->noise[1], *restrict gz = m->noise[2];
    const int32_t *restrict id = m->id;
    uint32_t key = m->key;
    enum { B = 512 };
    static uint32_t w0[B], w1[B], w2[B], w3[B];
    static double r1[B], r2[B], s[B], c[B], c2[B];
    for (int base = 0; base < n; base += B) {
        int len = n - base < B ? n - base : B;
#pragma omp simd
        for (int k = 0; k < len; k++) {
            uint32_t w[4];
            philox((uint32_t)id[base + k], step, 0, key, w);
            w0[k] = w[0]; w1[k] = w[1]; w2[k] = w[2]; w3[k] = w[3];
        }
#pragma omp simd
        for (int k = 0; k < len; k++) r1[k] = sqrt(-2.0 * log(((double)w0[k] + 0.5) * 0x1p-32));
#pragma omp simd
        for (int k = 0; k < len; k++) r2[k] = sqrt(-2.0 * log(((double)w2[k] + 0.5) * 0x1p-32));
#pragma omp simd
        for (int k = 0; k < len; k++) c[k] = cos(((double)w1[k] + 0.5) * 0x1p-32 * 2.0 * M_PI);
#pragma omp simd
        for (int k = 0; k < len; k++) s[k] = sin(((double)w1[k] + 0.5) * 0x1p-32 * 2.0 * M_PI);
#pragma omp simd
        for (int k = 0; k < len; k++) c2[k] = cos(((double)w3[k] + 0.5) * 0x1p-32 * 2.0 * M_PI);
        for (int k = 0; k < len; k++) {
            gx[base + k] = r1[k] * c[k];
            gy[base + k] = r1[k] * s[k];
            gz[base + k] = r2[k] * c2[k];
        }
    }
}

static void sort_by_cell(Model *m) {
    int n = m->n, side = m->side;
    double per_unit = side / m->box;
    int32_t *restrict cell = m->cell, *restrict start = m->start, *restrict cursor = m->cursor;
    const double *restrict x = m->state[0], *restrict y = m->state[1], *restrict z = m->state[2];
    memset(start, 0, sizeof(int32_t) * (m->cells + 1));
#pragma omp simd
    for (int i = 0; i < n; i++) {
        int a = (int)(x[i] * per_unit), b = (int)(y[i] * per_unit), c = (int)(z[i] * per_unit);
        a = a < side ? a : side - 1;
        b = b < side ? b : side - 1;
        c = c < side ? c : side - 1;
        cell[i] = (a * side + b) * side + c;
    }
    for (int i = 0; i < n; i++) start[cell[i] + 1]++;
    for (int c = 0; c < m->cells; c++) start[c + 1] += start[c];
    memcpy(cursor, start, sizeof(int32_t) * m->cells);
    for (int i = 0; i < n; i++) {
        int to = cursor[cell[i]]++;
        for (int f = 0; f < FIELDS; f++) m->spare[f][to] = m->state[f][i];
        m->spare_id[to] = m->id[i];
    }
    for (int f = 0; f < FIELDS; f++) {
        double *t = m->state[f];
        m->state[f] = m->spare[f];
        m->spare[f] = t;
    }
    int32_t *t = m->id;
    m->id = m->spare_id;
    m->spare_id = t;
}

/* Copy who is in the 27 cells around (a, b, c), displaced to the nearest image. The runs are listed first: the
 * copying loop is then free of the branches that find them. */
static int gather_candidates(Model *m, int a, int b, int c, int *own) {
    int side = m->side, count = 0, runs = 0, low[18], length[18];
    double shift[18][3];
    for (int da = -1; da <= 1; da++) {
        int pa = a + da;
        double sx = 0;
        if (pa < 0) { pa += side; sx = -m->box; } else if (pa >= side) { pa -= side; sx = m->box; }
        for (int db = -1; db <= 1; db++) {
            int pb = b + db;
            double sy = 0;
            if (pb < 0) { pb += side; sy = -m->box; } else if (pb >= side) { pb -= side; sy = m->box; }
            const int32_t *row = m->start + (pa * side + pb) * side;
            for (int part = 0; part < 3; part++) {
                int from = c > 0 ? c - 1 : 0, to = c + 2 < side ? c + 2 : side;
                double sz = 0;
                if (part == 0) {
                    if (c > 0) continue;
                    from = side - 1; to = side; sz = -m->box;
                } else if (part == 2) {
                    if (c < side - 1) continue;
                    from = 0; to = 1; sz = m->box;
                }
                if (!da && !db && part == 1) *own = count + row[c] - row[from];
                low[runs] = row[from];
                length[runs] = row[to] - row[from];
                shift[runs][0] = sx; shift[runs][1] = sy; shift[runs][2] = sz;
                count += length[runs++];
            }
        }
    }
    if (count + PAD > m->capacity) {
        fprintf(stderr, "too many candidates\n");
        exit(1);
    }
    count = 0;
    for (int r = 0; r < runs; r++) {
        const __m512d sx = _mm512_set1_pd(shift[r][0]), sy = _mm512_set1_pd(shift[r][1]);
        const __m512d sz = _mm512_set1_pd(shift[r][2]);
        for (int k = 0; k < length[r]; k += 8) {
            int from = low[r] + k, to = count + k;
            _mm512_storeu_pd(m->candidate[0] + to, _mm512_add_pd(_mm512_loadu_pd(m->state[0] + from), sx));
            _mm512_storeu_pd(m->candidate[1] + to, _mm512_add_pd(_mm512_loadu_pd(m->state[1] + from), sy));
            _mm512_storeu_pd(m->candidate[2] + to, _mm512_add_pd(_mm512_loadu_pd(m->state[2] + from), sz));
            for (int f = 3; f < 6; f++)
                _mm512_storeu_pd(m->candidate[f] + to, _mm512_loadu_pd(m->state[f] + from));
        }
        count += length[r];
    }
    return count;
}

static inline __m512d rsqrt(__m512d a) {
    const __m512d half = _mm512_set1_pd(0.5), three_halves = _mm512_set1_pd(1.5);
    __m512d y = _mm512_rsqrt14_pd(a), h = _mm512_mul_pd(a, half);
    y = _mm512_mul_pd(y, _mm512_fnmadd_pd(_mm512_mul_pd(h, y), y, three_halves));
    return _mm512_mul_pd(y, _mm512_fnmadd_pd(_mm512_mul_pd(h, y), y, three_halves));
}

static void look(Model *m, int i, int self, int count) {
    double *const *cand = m->candidate;
    int32_t *survivor = m->survivor;
    const double *cx = cand[0], *cy = cand[1], *cz = cand[2];
    const __m512d x = _mm512_set1_pd(m->state[0][i]), y = _mm512_set1_pd(m->state[1][i]);
    const __m512d z = _mm512_set1_pd(m->state[2][i]), reach2 = _mm512_set1_pd(REACH2);
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    int found = 0;
    for (int k = 0; k < count; k += 8) {
        __m512d dx = _mm512_sub_pd(_mm512_load_pd(cx + k), x);
        __m512d dy = _mm512_sub_pd(_mm512_load_pd(cy + k), y);
        __m512d dz = _mm512_sub_pd(_mm512_load_pd(cz + k), z);
        __m512d d2 = _mm512_fmadd_pd(dz, dz, _mm512_fmadd_pd(dy, dy, _mm512_mul_pd(dx, dx)));
        __mmask8 near = _mm512_cmp_pd_mask(d2, reach2, _CMP_LT_OQ);
        _mm256_storeu_si256((__m256i *)(survivor + found), _mm256_maskz_compress_epi32(near, lane));
        found += __builtin_popcount(near);
        lane = _mm256_add_epi32(lane, _mm256_set1_epi32(8));
    }
    _mm256_storeu_si256((__m256i *)(survivor + found), _mm256_set1_epi32(count)); /* padding lies far away */
    m->neighbours += found - 1;

    const __m512d ux = _mm512_set1_pd(m->state[3][i]), uy = _mm512_set1_pd(m->state[4][i]);
    const __m512d uz = _mm512_set1_pd(m->state[5][i]), blind = _mm512_set1_pd(BLIND);
    const __m512d repulsion2 = _mm512_set1_pd(REPULSION2), orientation2 = _mm512_set1_pd(ORIENTATION2);
    const __m256i me = _mm256_set1_epi32(self);
    __m512d rx = _mm512_setzero_pd(), ry = rx, rz = rx, sx = rx, sy = rx, sz = rx;
    int repelled = 0, seen = 0;
    for (int k = 0; k < found; k += 8) {
        __m256i j = _mm256_loadu_si256((const __m256i *)(survivor + k));
        __m512d dx = _mm512_sub_pd(_mm512_i32gather_pd(j, cx, 8), x);
        __m512d dy = _mm512_sub_pd(_mm512_i32gather_pd(j, cy, 8), y);
        __m512d dz = _mm512_sub_pd(_mm512_i32gather_pd(j, cz, 8), z);
        __m512d d2 = _mm512_fmadd_pd(dz, dz, _mm512_fmadd_pd(dy, dy, _mm512_mul_pd(dx, dx)));
        __m512d ox = _mm512_i32gather_pd(j, cand[3], 8), oy = _mm512_i32gather_pd(j, cand[4], 8);
        __m512d oz = _mm512_i32gather_pd(j, cand[5], 8);
        __mmask8 live = _mm512_cmp_pd_mask(d2, reach2, _CMP_LT_OQ) & _mm256_cmpneq_epi32_mask(j, me);
        __m512d inv = rsqrt(d2);
        dx = _mm512_mul_pd(dx, inv);
        dy = _mm512_mul_pd(dy, inv);
        dz = _mm512_mul_pd(dz, inv);
        __m512d bearing = _mm512_fmadd_pd(dz, uz, _mm512_fmadd_pd(dy, uy, _mm512_mul_pd(dx, ux)));
        __mmask8 close = _mm512_cmp_pd_mask(d2, repulsion2, _CMP_LT_OQ) & live;
        __mmask8 visible = _mm512_cmp_pd_mask(bearing, blind, _CMP_GT_OQ) & live & ~close;
        __mmask8 along = _mm512_cmp_pd_mask(d2, orientation2, _CMP_LT_OQ) & visible;
        rx = _mm512_mask_sub_pd(rx, close, rx, dx);
        ry = _mm512_mask_sub_pd(ry, close, ry, dy);
        rz = _mm512_mask_sub_pd(rz, close, rz, dz);
        sx = _mm512_mask_add_pd(sx, visible, sx, _mm512_mask_mov_pd(dx, along, ox));
        sy = _mm512_mask_add_pd(sy, visible, sy, _mm512_mask_mov_pd(dy, along, oy));
        sz = _mm512_mask_add_pd(sz, visible, sz, _mm512_mask_mov_pd(dz, along, oz));
        repelled += __builtin_popcount(close);
        seen += __builtin_popcount(visible);
    }
    if (repelled) {
        m->wanted[0][i] = _mm512_reduce_add_pd(rx);
        m->wanted[1][i] = _mm512_reduce_add_pd(ry);
        m->wanted[2][i] = _mm512_reduce_add_pd(rz);
    } else if (seen) {
        m->wanted[0][i] = _mm512_reduce_add_pd(sx);
        m->wanted[1][i] = _mm512_reduce_add_pd(sy);
        m->wanted[2][i] = _mm512_reduce_add_pd(sz);
    } else {
        for (int f = 0; f < 3; f++) m->wanted[f][i] = m->state[3 + f][i];
    }
}

static void search(Model *m) {
    int side = m->side;
    for (int a = 0; a < side; a++)
        for (int b = 0; b < side; b++)
            for (int c = 0; c < side; c++) {
                int row = (a * side + b) * side + c, lo = m->start[row], hi = m->start[row + 1], own = 0;
                if (lo == hi) continue;
                int count = gather_candidates(m, a, b, c, &own);
                for (int f = 0; f < 3; f++) _mm512_storeu_pd(m->candidate[f] + count, _mm512_set1_pd(1e150));
                for (int i = lo; i < hi; i++) look(m, i, own + i - lo, count);
            }
}

static void turn_and_move(Model *m) {
    int n = m->n;
    double box = m->box, cos_turn = cos(TURN), sin_turn = sin(TURN);
    double *restrict x = m->state[0], *restrict y = m->state[1], *restrict z = m->state[2];
    double *restrict ux = m->state[3], *restrict uy = m->state[4], *restrict uz = m->state[5];
    const double *restrict wx = m->wanted[0], *restrict wy = m->wanted[1], *restrict wz = m->wanted[2];
    const double *restrict gx = m->noise[0], *restrict gy = m->noise[1], *restrict gz = m->noise[2];
#pragma omp simd
    for (int i = 0; i < n; i++) {
        double qx = wx[i], qy = wy[i], qz = wz[i], px = ux[i], py = uy[i], pz = uz[i];
        double length2 = qx * qx + qy * qy + qz * qz;
        int lost = length2 < 1e-20;
        qx = lost ? px : qx; qy = lost ? py : qy; qz = lost ? pz : qz;
        double inv = 1 / sqrt(lost ? 1.0 : length2);
        qx = qx * inv + NOISE * gx[i];
        qy = qy * inv + NOISE * gy[i];
        qz = qz * inv + NOISE * gz[i];
        inv = 1 / sqrt(qx * qx + qy * qy + qz * qz);
        qx *= inv; qy *= inv; qz *= inv;
        double along = qx * px + qy * py + qz * pz;
        double tx = qx - along * px, ty = qy - along * py, tz = qz - along * pz;
        double side = sin_turn / sqrt(tx * tx + ty * ty + tz * tz + 1e-300);
        int within = along >= cos_turn;
        double nx = within ? qx : cos_turn * px + side * tx;
        double ny = within ? qy : cos_turn * py + side * ty;
        double nz = within ? qz : cos_turn * pz + side * tz;
        inv = 1 / sqrt(nx * nx + ny * ny + nz * nz);
        nx *= inv; ny *= inv; nz *= inv;
        ux[i] = nx; uy[i] = ny; uz[i] = nz;
        double a = x[i] + STEP_LENGTH * nx, b = y[i] + STEP_LENGTH * ny, c = z[i] + STEP_LENGTH * nz;
        a = a < 0 ? a + box : a; a = a >= box ? a - box : a;
        b = b < 0 ? b + box : b; b = b >= box ? b - box : b;
        c = c < 0 ? c + box : c; c = c >= box ? c - box : c;
        x[i] = a; y[i] = b; z[i] = c;
    }
}

static void advance(Model *m, uint32_t step) {
    double t0 = now();
    sort_by_cell(m);
    double t1 = now();
    search(m);
    double t2 = now();
    draw_noise(m, step);
    double t3 = now();
    turn_and_move(m);
    double t4 = now();
    m->ns[0] += t1 - t0; m->ns[1] += t2 - t1; m->ns[2] += t3 - t2; m->ns[3] += t4 - t3;
}

static void place(Model *m) {
    for (int i = 0; i < m->n; i++) {
        uint32_t w[4], v[4];
        philox((uint32_t)i, 0, 1, m->key, w);
        philox((uint32_t)i, 0, 2, m->key, v);
        for (int f = 0; f < 3; f++) m->state[f][i] = ((double)w[f] + 0.5) * 0x1p-32 * m->box;
        double height = 2 * ((double)w[3] + 0.5) * 0x1p-32 - 1, angle = (double)v[0] * 0x1p-32 * 2 * M_PI;
        double ring = sqrt(1 - height * height);
        m->state[3][i] = ring * cos(angle);
        m->state[4][i] = ring * sin(angle);
        m->state[5][i] = height;
        m->id[i] = i;
    }
}

static Model *make(int n) {
    Model *m = aligned(sizeof(Model));
    m->n = n;
    m->box = cbrt(n * 4.0 / 3.0 * M_PI * REACH * REACH * REACH / MEAN_NEIGHBOURS);
    m->side = (int)(m->box / REACH);
    if (m->side < 3) {
        fprintf(stderr, "the box holds fewer than three cells a side\n");
        exit(1);
    }
    m->cells = m->side * m->side * m->side;
    m->capacity = n < 8192 ? n + 64 : 8192;
    m->key = 20020917u;
    for (int f = 0; f < FIELDS; f++) {
        m->state[f] = aligned(8 * (n + PAD));
        m->spare[f] = aligned(8 * (n + PAD));
        m->candidate[f] = aligned(8 * (m->capacity + PAD + 8 * (2 * f + 1)));
    }
    for (int f = 0; f < 3; f++) {
        m->wanted[f] = aligned(8 * (n + PAD));
        m->noise[f] = aligned(8 * (n + PAD));
    }
    m->id = aligned(4 * (n + PAD));
    m->spare_id = aligned(4 * (n + PAD));
    m->cell = aligned(4 * (n + PAD));
    m->start = aligned(4 * (m->cells + PAD));
    m->cursor = aligned(4 * (m->cells + PAD));
    m->survivor = aligned(4 * (m->capacity + 2 * PAD));
    place(m);
    return m;
}

static int check(void) {
    Model *m = make(3000);
    sort_by_cell(m);
    search(m);
    double worst = 0;
    int64_t neighbours = 0;
    for (int i = 0; i < m->n; i++) {
        double r[3] = {0}, s[3] = {0};
        int repelled = 0, seen = 0;
        for (int j = 0; j < m->n; j++) {
            if (i == j) continue;
            double d[3], d2 = 0, bearing = 0;
            for (int f = 0; f < 3; f++) {
                d[f] = m->state[f][j] - m->state[f][i];
                d[f] -= m->box * round(d[f] / m->box);
                d2 += d[f] * d[f];
            }
            if (d2 >= REACH2) continue;
            neighbours++;
            double length = sqrt(d2);
            for (int f = 0; f < 3; f++) bearing += d[f] / length * m->state[3 + f][i];
            if (d2 < REPULSION2) {
                repelled++;
                for (int f = 0; f < 3; f++) r[f] -= d[f] / length;
            } else if (bearing > BLIND) {
                seen++;
                for (int f = 0; f < 3; f++) s[f] += d2 < ORIENTATION2 ? m->state[3 + f][j] : d[f] / length;
            }
        }
        for (int f = 0; f < 3; f++) {
            double want = repelled ? r[f] : seen ? s[f] : m->state[3 + f][i];
            double error = fabs(want - m->wanted[f][i]);
            if (error > worst) worst = error;
        }
    }
    printf("check: worst difference from all pairs %.2e, neighbours %s\n", worst,
           neighbours == m->neighbours ? "equal" : "DIFFER");
    return !(worst < 1e-12 && neighbours == m->neighbours);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--check")) return check();
    int n = argc > 1 ? atoi(argv[1]) : 100000, steps = argc > 2 ? atoi(argv[2]) : 20;
    int repeats = argc > 3 ? atoi(argv[3]) : 1;
    Model *m = make(n);
    for (int r = 0; r < repeats; r++) {
        place(m);
        memset(m->ns, 0, sizeof m->ns);
        m->neighbours = 0;
        double t = now();
        for (int s = 0; s < steps; s++) advance(m, (uint32_t)s);
        double seconds = now() - t, total = (double)n * steps;
        double polar[3] = {0};
        for (int f = 0; f < 3; f++)
            for (int i = 0; i < n; i++) polar[f] += m->state[3 + f][i];
        printf("agent_steps_per_s %.4g neighbours %.3f sort_ns %.1f search_ns %.1f noise_ns %.1f move_ns %.1f "
               "polarisation %.5f\n", total / seconds, m->neighbours / total, 1e9 * m->ns[0] / total,
               1e9 * m->ns[1] / total, 1e9 * m->ns[2] / total, 1e9 * m->ns[3] / total,
               sqrt(polar[0] * polar[0] + polar[1] * polar[1] + polar[2] * polar[2]) / n);
        fflush(stdout);
    }
    return 0;
}
