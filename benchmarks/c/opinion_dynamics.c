/* The step of the DeGroot and Friedkin-Johnsen models as plain loops over a sparse matrix by rows: what the engine's
 * step is measured against. Compiled as a shared library and called from benchmarks/opinion_dynamics.py. */
#include <stdint.h>

/* y = W x, where the row of W is already divided by its sum, the own weight included. */
void degroot(int64_t n, const int64_t *start, const int32_t *seen, const double *weight, const double *own,
             const double *x, double *y)
{
    for (int64_t i = 0; i < n; i++) {
        double heard = own[i] * x[i];
        for (int64_t k = start[i]; k < start[i + 1]; k++)
            heard += weight[k] * x[seen[k]];
        y[i] = heard;
    }
}

/* y = susceptibility (W x) + (1 - susceptibility) innate. */
void friedkin_johnsen(int64_t n, const int64_t *start, const int32_t *seen, const double *weight, const double *own,
                      const double *susceptibility, const double *innate, const double *x, double *y)
{
    for (int64_t i = 0; i < n; i++) {
        double heard = own[i] * x[i];
        for (int64_t k = start[i]; k < start[i + 1]; k++)
            heard += weight[k] * x[seen[k]];
        y[i] = susceptibility[i] * heard + (1.0 - susceptibility[i]) * innate[i];
    }
}
