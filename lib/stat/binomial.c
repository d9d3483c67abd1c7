/*
 * Tails of the binomial distribution, exact but for rounding, and the Clopper-Pearson bounds as their inverse.
 *
 * A tail is its largest term times a sum of ratios. The term is
 *
 *   P(X = x) = n! / (x! (n - x)!) p^x q^(n - x),   q = 1 - p.
 *
 * For n = 10^9 the logarithms of the factorials are near 2 x 10^10 and would lose ten of the sixteen digits to each
 * other. With Stirling's formula k! = sqrt(2 pi k) (k / e)^k exp(s(k)) the large parts cancel on paper instead
 * (Loader's saddle point form):
 *
 *   log P = s(n) - s(x) - s(n - x) - D(x, np) - D(n - x, nq) - log(2 pi x (n - x) / n) / 2,
 *   D(k, m) = k log(k / m) + m - k,
 *
 * where s is small and the deviance D is no larger than the result, -log P. k - m is handed to D, since it is the
 * same but for its sign in both and a fused multiply-add gives it without the rounding of np.
 *
 * Away from the mode each further term is smaller than the one before, P(x + 1) / P(x) = (n - x) p / ((x + 1) q),
 * so the sum stops where terms no longer count, after about nine standard deviations.
 */

#include "ep_stat.h"

#include <math.h>

/* s(k) of Stirling's formula, k >= 1. */
static double
stirling_rest(double k)
{
	if (k < 16) {
		double factorial = 1; /* exact up to 15! */

		for (double i = 2; i <= k; i++)
			factorial *= i;
		return log(factorial) - (k + 0.5) * log(k) + k - 0.5 * log(2 * M_PI);
	}

	const double kk = k * k;

	/* The asymptotic series; its next term, 691 / 360360 k^11, is below 1e-16. */
	return (1.0 / 12 -
		       (1.0 / 360 - (1.0 / 1260 - (1.0 / 1680 - 1.0 / 1188 / kk) / kk) / kk) / kk) /
		k;
}

/* D(k, m) = k log(k / m) + m - k for k > 0, m > 0. */
static double
deviance(double k, double m, double k_minus_m)
{
	const double d = k_minus_m / m;
	double power = d * d;
	double sum = 0;

	if (!(fabs(d) < 0.1))
		return k * log(k / m) - k_minus_m;
	/* (1 + d) log(1 + d) - d = d^2 / 2 - d^3 / 6 + d^4 / 12 - ...: the difference would lose digits. */
	for (int i = 2; i < 20; i++) {
		sum += power / (i * (i - 1));
		power *= -d;
	}
	return m * sum;
}

/* log P(X = x) for 0 < p < 1. */
static double
log_term(uint64_t x, uint64_t n, double p)
{
	const double nd = (double)n;
	const double xd = (double)x;
	const double rest = (double)(n - x);
	const double x_minus_np = fma(-nd, p, xd);

	if (x == 0)
		return nd * log1p(-p);
	if (x == n)
		return nd * log(p);
	return stirling_rest(nd) - stirling_rest(xd) - stirling_rest(rest) -
		deviance(xd, nd * p, x_minus_np) - deviance(rest, nd * (1 - p), -x_minus_np) -
		0.5 * log(2 * M_PI * xd * (rest / nd));
}

/* Terms below this share of the sum are left out; thousands of them together are below 1e-12. */
#define TERM_MIN_SHARE 1e-18

/* P(X >= x), np < x <= n. */
static double
upper_sum(uint64_t x, uint64_t n, double p)
{
	const double odds = p / (1 - p);
	const double nd = (double)n;
	double term = 1;
	double sum = 1;

	for (double i = (double)x; i < nd && term > sum * TERM_MIN_SHARE; i++) {
		term *= (nd - i) / (i + 1) * odds;
		sum += term;
	}
	return exp(log_term(x, n, p) + log(sum));
}

/* P(X <= x), 0 <= x < np. */
static double
lower_sum(uint64_t x, uint64_t n, double p)
{
	const double odds = (1 - p) / p;
	const double nd = (double)n;
	double term = 1;
	double sum = 1;

	for (double i = (double)x; i > 0 && term > sum * TERM_MIN_SHARE; i--) {
		term *= i / (nd - i + 1) * odds;
		sum += term;
	}
	return exp(log_term(x, n, p) + log(sum));
}

/* P(X <= x) for x < n, 0 < p < 1; the smaller tail is summed. */
static double
binomial_cdf(uint64_t x, uint64_t n, double p)
{
	return (double)x < (double)n * p ? lower_sum(x, n, p) : 1 - upper_sum(x + 1, n, p);
}

double
ep_stat_binomial_tail(uint64_t lost, uint64_t sent, double ratio)
{
	if (lost == 0)
		return 1;
	if (lost > sent || ratio <= 0)
		return 0;
	if (ratio >= 1)
		return 1;
	if ((double)lost > (double)sent * ratio)
		return fmin(upper_sum(lost, sent, ratio), 1);
	return fmax(1 - lower_sum(lost - 1, sent, ratio), 0);
}

double
ep_stat_upper(uint64_t lost, uint64_t sent, double alpha)
{
	double low = sent > 0 ? (double)lost / (double)sent : 1;
	double high = 1;

	if (lost >= sent)
		return 1;
	if (lost == 0)
		return ep_stat_ruled_out(sent, alpha);
	/* P(X <= lost) falls with the ratio, and is above alpha at the low end only. */
	while (high - low > high * 1e-12) {
		const double middle = low + (high - low) / 2;

		if (binomial_cdf(lost, sent, middle) > alpha)
			low = middle;
		else
			high = middle;
	}
	return high;
}

double
ep_stat_lower(uint64_t lost, uint64_t sent, double alpha)
{
	double low = 0;
	double high = sent > 0 ? (double)lost / (double)sent : 0;

	if (lost == 0 || sent == 0)
		return 0;
	if (lost >= sent)
		return pow(alpha, 1 / (double)sent);
	/* P(X >= lost) grows with the ratio, and is above alpha at the high end only. */
	while (high - low > high * 1e-12) {
		const double middle = low + (high - low) / 2;

		if (ep_stat_binomial_tail(lost, sent, middle) > alpha)
			high = middle;
		else
			low = middle;
	}
	return low;
}

double
ep_stat_ruled_out(uint64_t sent, double alpha)
{
	/* 1 - alpha^(1/sent) without the cancellation. */
	return sent > 0 ? -expm1(log(alpha) / (double)sent) : 1;
}
