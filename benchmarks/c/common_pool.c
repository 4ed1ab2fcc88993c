/* A common-pool resource and a game on a graph, one thread: the yardsticks of the scenarios commons and graph_game.
 *
 * The same draws (Philox4x32-10 under the keys that Python derives), the same formulas in the same order, hence the same
 * bits. Villages do not meet, so `commons_by_village` takes a village through all rounds while it is in the nearest
 * cache; `commons_by_round` takes all villages through a round. Both take a round's stages one after another within a
 * village, and leave villages alone that have ended. `death_birth` takes events one after another.
 */
#include <math.h>
#include <stdint.h>

typedef struct {
    double productivity, subsistence, penalty, punishment_cost, strength, noise, belief_noise, rate, capacity, minimum;
    int64_t first_starvation;
} Model;

typedef struct {
    const int64_t *first; /* of each village its first member's id, and one more */
    double *stock, *norm, *harvested, *grown;
    int64_t *rounds, *ending;
    double *effort, *monitoring, *punishment, *belief, *wealth;
    uint8_t *alive;
} State;

typedef struct { uint64_t look, inspects, punishes, meet, adopts, effort, belief; } Keys;

enum { MOST = 64, OPEN = 0, STARVED = 1, EXHAUSTED = 2 };

typedef struct { uint64_t first, second; } Bits;

/* Philox4x32-10 (Salmon et al. 2011); the counter is made of two 64-bit halves. */
static inline Bits philox(uint64_t key, uint64_t low, uint64_t high) {
    uint32_t c0 = (uint32_t)low, c1 = (uint32_t)(low >> 32), c2 = (uint32_t)high, c3 = (uint32_t)(high >> 32);
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
    return (Bits){(uint64_t)c0 | (uint64_t)c1 << 32, (uint64_t)c2 | (uint64_t)c3 << 32};
}

/* An agent's own draw. */
static inline Bits bits(uint64_t key, int64_t id) { return philox(key, (uint64_t)id, (uint64_t)1 << 63); }

static inline double unit(uint64_t word) { return (double)(int64_t)(word >> 11) * 0x1p-53; }

static inline double uniform(uint64_t key, int64_t id) { return unit(bits(key, id).first); }

static inline int64_t below(uint64_t key, int64_t id, int64_t n) {
    return (int64_t)((unsigned __int128)bits(key, id).first * (uint64_t)n >> 64);
}

/* Logarithm and cosine of simengine.random.elementary: straight-line, the same bits everywhere. */
static inline double log_unit(double u) {
    union { double d; int64_t i; } word = {u}, mantissa;
    int64_t exponent = (word.i - 0x3FE6A09E667F3BCD) >> 52;
    mantissa.i = word.i - (int64_t)((uint64_t)exponent << 52);
    double f = mantissa.d - 1.0, s = f / (2.0 + f), z = s * s;
    double tail = z * (0.666666666666667 + z * (0.3999999999989949 + z * (0.2857142862598255 + z * (0.22222211133642084
        + z * (0.18182889209266595 + z * (0.1533171880828007 + z * 0.14616484198366603))))));
    double scale = (double)exponent;
    return scale * 0.693147180559663 + (f - (s * (f - tail) - scale * 2.8235290563031577e-13));
}

static inline double cosine_of_turn(double u) {
    double quarter = floor(4.0 * u + 0.5), r = u - 0.25 * quarter, z = r * r;
    double sine = r * 6.283185307179586 + r * (2.4492935982947064e-16 + z * (-41.34170224039976 + z * (81.60524927607504
        + z * (-76.70585975304292 + z * (42.0586939378057 + z * (-15.094641279579799 + z * (3.8198307439800163
        + z * -0.7124440626783193)))))));
    double cosine = 1.0 + z * (-19.739208802178716 + z * (64.93939402266824 + z * (-85.4568172066438
        + z * (60.24464135270201 + z * (-26.426253275854723 + z * (7.903206911569678 + z * -1.6990343940660637))))));
    double half = floor(quarter * 0.5), odd = quarter - 2.0 * half, even = 1.0 - odd;
    double sign = 1.0 - 2.0 * (half - 2.0 * floor(half * 0.5));
    return sign * (even * cosine - odd * sine);
}

static inline double normal(uint64_t key, int64_t id) {
    Bits drawn = bits(key, id);
    double radius = sqrt(-2.0 * log_unit((double)(int64_t)((drawn.first >> 11) + 1) * 0x1p-53));
    return radius * cosine_of_turn(unit(drawn.second));
}

static inline double within(double value, double low, double high) {
    return value < low ? low : value > high ? high : value;
}

/* The median of n values, at least one, which are sorted. */
static inline double median(double *values, int n) {
    for (int i = 1; i < n; i++) {
        double moved = values[i];
        int place = i;
        for (; place > 0 && values[place - 1] > moved; place--) values[place] = values[place - 1];
        values[place] = moved;
    }
    return n % 2 ? values[n / 2] : 0.5 * (values[n / 2 - 1] + values[n / 2]);
}

static inline int list_living(const State *s, int64_t from, int64_t to, int64_t *living) {
    int n = 0;
    for (int64_t id = from; id < to; id++)
        if (s->alive[id]) living[n++] = id;
    return n;
}

/* Somebody else of n, as a place in the list of the living. */
static inline int other_than(int me, int n, uint64_t key, int64_t id) {
    int drawn = (int)below(key, id, n - 1);
    return drawn + (drawn >= me);
}

static inline void one_round(const Model *m, const State *s, int64_t village, const Keys *k) {
    if (s->ending[village] != OPEN) return;
    int64_t from = s->first[village], to = s->first[village + 1], living[MOST];
    double harvest[MOST], effort[MOST], belief[MOST], monitoring[MOST];
    uint8_t fined[MOST] = {0}, punishes[MOST];
    int n = list_living(s, from, to, living);

    double wanted = 0.0, hauled = 0.0, available = s->stock[village];
    for (int i = 0; i < n; i++) wanted += m->productivity * within(s->effort[living[i]], 0.0, 1.0);
    if (wanted > 1.0) available /= wanted;
    for (int i = 0; i < n; i++) {
        harvest[i] = m->productivity * within(s->effort[living[i]], 0.0, 1.0) * available;
        hauled += harvest[i];
    }
    double left = fmax(s->stock[village] - hauled, 0.0);
    s->harvested[village] += hauled;

    for (int i = 0; i < n; i++) {
        int64_t id = living[i];
        int peer = n > 1 ? other_than(i, n, k->look, id) : -1;
        punishes[i] = uniform(k->inspects, id) < s->monitoring[id] && peer >= 0 && harvest[peer] > s->norm[village]
            && uniform(k->punishes, id) < s->punishment[id];
        if (punishes[i]) fined[peer] = 1;
    }
    for (int i = 0; i < n; i++) {
        int64_t id = living[i];
        double payoff = harvest[i] - m->subsistence;
        if (punishes[i]) payoff -= m->punishment_cost;
        double wealth = s->wealth[id] + payoff - (fined[i] ? m->penalty : 0.0);
        s->wealth[id] = wealth;
        s->alive[id] = wealth >= 0.0;
    }
    n = list_living(s, from, to, living);

    for (int i = 0; i < n; i++) {
        int64_t id = living[i];
        effort[i] = s->effort[id], belief[i] = s->belief[id], monitoring[i] = s->monitoring[id];
        if (n == 1) continue;
        int64_t model = living[other_than(i, n, k->meet, id)];
        double chance = 1.0 / (1.0 + exp(m->strength * (s->wealth[id] - s->wealth[model])));
        if (uniform(k->adopts, id) < chance) {
            effort[i] = within(s->effort[model] + m->noise * normal(k->effort, id), 0.0, 1.0);
            belief[i] = fmax(s->belief[model] + m->belief_noise * normal(k->belief, id), 0.0);
            monitoring[i] = s->monitoring[model];
        }
    }
    for (int i = 0; i < n; i++) {
        int64_t id = living[i];
        s->effort[id] = effort[i], s->belief[id] = belief[i], s->monitoring[id] = monitoring[i];
    }
    if (n > 0) s->norm[village] = median(belief, n);

    double stock = left + m->rate * left * (1.0 - left / m->capacity);
    s->stock[village] = stock;
    s->grown[village] += stock - left;
    s->rounds[village]++;
    int64_t needed = m->first_starvation ? to - from : 1;
    s->ending[village] = n < needed ? STARVED : stock <= m->minimum ? EXHAUSTED : OPEN;
}

void commons_by_village(const Model *m, const State *s, int64_t villages, int64_t rounds, const Keys *keys) {
    for (int64_t village = 0; village < villages; village++)
        for (int64_t round = 0; round < rounds; round++) one_round(m, s, village, keys + round);
}

void commons_by_round(const Model *m, const State *s, int64_t villages, int64_t rounds, const Keys *keys) {
    for (int64_t round = 0; round < rounds; round++)
        for (int64_t village = 0; village < villages; village++) one_round(m, s, village, keys + round);
}

/* The donation game and averaged payoffs; a step is n events; neighbours by ascending id, from starts[i] on. */
void death_birth(int64_t n, const int64_t *starts, const int32_t *neighbours, uint8_t *strategy, double benefit,
                 double cost, double selection, int64_t first_step, int64_t steps, uint64_t turn, uint64_t parent) {
    for (int64_t step = first_step; step < first_step + steps; step++)
        for (int64_t event = 0; event < n; event++) {
            int64_t me = below(philox(turn, (uint64_t)step, (uint64_t)event).first, 0, n);
            double of_all = 0.0, of_cooperators = 0.0;
            for (int64_t i = starts[me]; i < starts[me + 1]; i++) {
                int32_t other = neighbours[i];
                int64_t from = starts[other], partners = starts[other + 1] - from, cooperating = 0;
                for (int64_t j = from; j < from + partners; j++) cooperating += strategy[neighbours[j]];
                double against_c = strategy[other] ? benefit - cost : benefit, against_d = strategy[other] ? -cost : 0.0;
                double payoff = against_c * (double)cooperating + against_d * (double)(partners - cooperating);
                double fitness = exp(selection * (payoff / (double)partners));
                of_all += fitness;
                if (strategy[other]) of_cooperators += fitness;
            }
            if (of_all == 0.0) continue;
            double drawn = uniform(philox(parent, (uint64_t)step, (uint64_t)event).first, me);
            strategy[me] = drawn * of_all < of_cooperators;
        }
}
