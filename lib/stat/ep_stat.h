#pragma once

/**
 * @file
 * Statistics of 10,001 simultaneous claims. Pure functions, double arithmetic, control path.
 */

#include <stdbool.h>
#include <stdint.h>

/** Family-wise error rate of every per-port statement. */
#define EP_STAT_ALPHA 0.05

/**
 * One-sided binomial tail P(X >= lost), X ~ Binomial(sent, ratio): how surprising this loss is if the true ratio
 * were @p ratio. Relative error below 1e-9 down to 1e-300; smaller values may be returned as 0. Takes time in
 * proportion to the standard deviation of X: at most about half a millisecond for 10^9 probes.
 *
 * @param lost
 *   Probes lost [packets].
 * @param sent
 *   Probes sent [packets].
 * @param ratio
 *   Hypothetical loss ratio; below 0 is taken as 0, above 1 as 1.
 * @return
 *   Probability in [0, 1]; 1 for lost = 0, 0 for lost > sent.
 */
double ep_stat_binomial_tail(uint64_t lost, uint64_t sent, double ratio);

/**
 * Holm's step-down test: which of @p count hypotheses are rejected at family-wise error rate @p alpha.
 *
 * @param p
 *   [count] p-values in [0, 1], in any order.
 * @param alpha
 *   Probability of rejecting any true hypothesis, in [0, 1].
 * @param[out] rejected
 *   [count] filled.
 * @return
 *   Number rejected, or -ENOMEM.
 */
int64_t ep_stat_holm(const double *p, uint32_t count, double alpha, bool *rejected);

/**
 * One-sided Clopper-Pearson upper bound of a loss ratio at confidence 1 - @p alpha: the largest ratio under which
 * losing @p lost or fewer of @p sent has probability @p alpha.
 *
 * @param alpha
 *   In (0, 0.5].
 * @return
 *   Ratio in [lost / sent, 1]; 1 for sent = 0 and for lost >= sent.
 */
double ep_stat_upper(uint64_t lost, uint64_t sent, double alpha);

/**
 * One-sided Clopper-Pearson lower bound of a loss ratio at confidence 1 - @p alpha: the smallest ratio under which
 * losing @p lost or more of @p sent has probability @p alpha.
 *
 * @param alpha
 *   In (0, 0.5].
 * @return
 *   Ratio in [0, lost / sent]; 0 for lost = 0 and for sent = 0.
 */
double ep_stat_lower(uint64_t lost, uint64_t sent, double alpha);

/**
 * The smallest loss ratio that @p sent loss-free probes rule out at confidence 1 - @p alpha: 1 - alpha^(1/sent).
 * 1 for sent = 0.
 */
double ep_stat_ruled_out(uint64_t sent, double alpha);
