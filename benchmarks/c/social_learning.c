/* Controlled sequential social learning, one thread: the yardstick of the scenario social_learning.
 *
 * Bayesian agents, ties to the own signal, linear cost. The same draws (Philox4x32-10 under the keys that Python derives
 * for each step), the same formulas in the same order, hence the same bits. Three orders of the loops: `by_community`
 * takes a community through all steps, in registers; `by_step` takes all communities through a step, in arrays;
 * `by_block` does so with as many communities as fit into the nearest cache, one such block after another.
 */
#include <math.h>
#include <stdint.h>

typedef struct {
    double precision, cost, loss, log_discount, biased;
    int64_t outer, inner;
    double per_outer, per_inner;
    const double *intercept, *slope;
} Model;

typedef struct {
    double log_odds, belief, precision, utility, spent, value;
    int64_t state, signal, action, onset, mistakes;
} Community;

typedef struct {
    double *log_odds, *belief, *precision, *utility, *spent, *value;
    int64_t *state, *signal, *action, *onset, *mistakes;
} Communities;

static const double TIE = 1e-9, SNAP = 1e-9, CERTAIN = 700.0, LATTICE = 0x1p40;

/* Philox4x32-10 (Salmon et al. 2011): the counter is the agent's id and the tag of an agent's own draw. */
static inline double uniform(uint64_t key, uint64_t id) {
    uint32_t c0 = (uint32_t)id, c1 = (uint32_t)(id >> 32), c2 = 0, c3 = 0x80000000u;
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    uint64_t word = (uint64_t)c0 | (uint64_t)c1 << 32;
    return (double)(int64_t)(word >> 11) * 0x1p-53;
}

/* The logarithm of simengine.random.elementary: straight-line, the same bits everywhere. */
static inline double log_unit(double u) {
    union { double d; int64_t i; } bits = {u}, mantissa;
    int64_t exponent = (bits.i - 0x3FE6A09E667F3BCD) >> 52;
    mantissa.i = bits.i - (int64_t)((uint64_t)exponent << 52);
    double f = mantissa.d - 1.0, s = f / (2.0 + f), z = s * s;
    double tail = z * (0.666666666666667 + z * (0.3999999999989949 + z * (0.2857142862598255 + z * (0.22222211133642084
        + z * (0.18182889209266595 + z * (0.1533171880828007 + z * 0.14616484198366603))))));
    double scale = (double)exponent;
    return scale * 0.693147180559663 + (f - (s * (f - tail) - scale * 2.8235290563031577e-13));
}

static inline int64_t node_of(const Model *m, double belief) {
    double lower = 1.0 - m->precision, other = 1.0 - belief, low = belief < other ? belief : other;
    int64_t middle = m->outer + m->inner + 3, node = (int64_t)(low * m->per_outer + 0.5);
    if (low > lower) node = m->outer + 2 + (int64_t)((low - lower) * m->per_inner + 0.5);
    if (fabs(low - lower) <= SNAP) node = m->outer + 1;
    if (0.5 - low <= SNAP) node = middle;
    return belief <= 0.5 ? node : 2 * middle - node;
}

static inline void one_agent(const Model *m, Community *c, uint64_t id, int64_t step, uint64_t key, double factor) {
    int64_t node = node_of(m, c->belief);
    double q = m->intercept[node] + m->slope[node] * c->belief;
    q = q < 0.5 ? 0.5 : q > 1.0 ? 1.0 : q;
    double weight = q < 1.0 ? floor(log_unit(q / (1.0 - q)) * LATTICE + 0.5) / LATTICE : 2.0 * CERTAIN;
    c->precision = q;
    c->signal = uniform(key, id) < q ? c->state : 1 - c->state;

    double odds = c->log_odds + (2.0 * (double)c->signal - 1.0) * weight;
    c->action = odds > TIE ? 1 : odds < -TIE ? 0 : c->signal;

    int informative = c->log_odds + weight >= -TIE && c->log_odds - weight <= TIE;
    if (informative && weight != 0.0) {
        double next = c->log_odds + (c->action == 1 ? weight : -weight);
        next = next < -CERTAIN ? -CERTAIN : next > CERTAIN ? CERTAIN : next;
        c->log_odds = next;
        c->belief = 1.0 / (1.0 + exp(-next));
    }
    c->onset = informative ? -1 : c->onset < 0 ? step : c->onset;
    int64_t wrong = c->action != c->state, harm = m->biased > 0.0 ? 1 - c->action : wrong;
    double gap = q - m->precision, price = 0.0;
    if (gap > 0.0 || (gap < 0.0 && m->biased > 0.0)) price = m->cost * fabs(gap);
    c->mistakes += wrong;
    c->utility -= factor * m->loss * (double)wrong;
    c->spent += price;
    c->value -= factor * (price + m->loss * (double)harm);
}

static inline Community load(const Communities *a, int64_t i) {
    Community c = {a->log_odds[i], a->belief[i], a->precision[i], a->utility[i], a->spent[i], a->value[i],
                   a->state[i], a->signal[i], a->action[i], a->onset[i], a->mistakes[i]};
    return c;
}

static inline void store(const Communities *a, int64_t i, const Community *c) {
    a->log_odds[i] = c->log_odds; a->belief[i] = c->belief; a->precision[i] = c->precision;
    a->utility[i] = c->utility; a->spent[i] = c->spent; a->value[i] = c->value;
    a->signal[i] = c->signal; a->action[i] = c->action; a->onset[i] = c->onset; a->mistakes[i] = c->mistakes;
}

void by_community(const Model *m, const Communities *a, int64_t n, int64_t steps, const uint64_t *keys) {
    double factors[steps];
    for (int64_t step = 0; step < steps; step++) factors[step] = exp((double)step * m->log_discount);
    for (int64_t i = 0; i < n; i++) {
        Community c = load(a, i);
        for (int64_t step = 0; step < steps; step++) one_agent(m, &c, (uint64_t)i, step, keys[step], factors[step]);
        store(a, i, &c);
    }
}

static void range_by_step(const Model *m, const Communities *a, int64_t from, int64_t to, int64_t steps,
                          const uint64_t *keys) {
    for (int64_t step = 0; step < steps; step++) {
        double factor = exp((double)step * m->log_discount);
        for (int64_t i = from; i < to; i++) {
            Community c = load(a, i);
            one_agent(m, &c, (uint64_t)i, step, keys[step], factor);
            store(a, i, &c);
        }
    }
}

void by_step(const Model *m, const Communities *a, int64_t n, int64_t steps, const uint64_t *keys) {
    range_by_step(m, a, 0, n, steps, keys);
}

void by_block(const Model *m, const Communities *a, int64_t n, int64_t steps, const uint64_t *keys) {
    enum { BLOCK = 256 };
    for (int64_t from = 0; from < n; from += BLOCK)
        range_by_step(m, a, from, from + BLOCK < n ? from + BLOCK : n, steps, keys);
}
