#include "ep_base.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/*
 * Numbers are read by hand and not with strtod(): that one takes "inf", "0x1p3" and leading blanks, and its decimal point
 * depends on the locale.
 */

#define DURATION_HELP \
	"allowed is a number with ns, us, ms, s, min or h, above 0, such as 10s or 250ms"
#define RATE_HELP                                                                                 \
	"allowed is a number above 0 with pps, kpps, Mpps, Gpps, bps, kbps, Mbps, Gbps, Tbps or " \
	"%%, such as 1.5Mpps, 2.5Gbps or 50%%, or max"
#define RATIO_HELP "allowed is a number from 0 to 1 or from 0%% to 100%%"

#define DURATION_MAX_NS (UINT64_C(366) * 24 * 3600 * EP_NS_PER_S)
#define RATE_MAX_PPS 10e9
#define RATE_MAX_BPS 10e12

/* Digits kept: 10^18 times any unit's factor stays far below 2^127. */
#define DIGITS_MAX UINT64_C(1000000000000000000)

/* mantissa / divisor; huge when the whole part alone has more than 18 digits. */
struct decimal {
	uint64_t mantissa;
	uint64_t divisor;
	bool huge;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Read "12" or "12.5". Returns what follows the number, or NULL when there is none. */
static const char *
decimal_scan(const char *text, struct decimal *d)
{
	*d = (struct decimal){.divisor = 1};
	if (!is_digit(*text))
		return NULL;
	for (; is_digit(*text); text++) {
		if (d->mantissa >= DIGITS_MAX / 10)
			d->huge = true;
		else
			d->mantissa = d->mantissa * 10 + (uint64_t)(*text - '0');
	}
	if (text[0] != '.' || !is_digit(text[1]))
		return text;
	for (text++; is_digit(*text); text++) {
		if (d->mantissa >= DIGITS_MAX / 10 || d->divisor >= DIGITS_MAX)
			continue; /* below the precision of anything this is used for */
		d->mantissa = d->mantissa * 10 + (uint64_t)(*text - '0');
		d->divisor *= 10;
	}
	return text;
}

/* Correctly rounded below 2^53: a quotient of two exact doubles. */
static double
decimal_value(const struct decimal *d, double factor)
{
	return d->huge ? 1e300 : (double)d->mantissa * factor / (double)d->divisor;
}

int
ep_duration_parse(const char *text, const char *what, uint64_t *ns, struct ep_err *err)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{"ns", 1},
		{"us", 1000},
		{"ms", EP_NS_PER_MS},
		{"s", EP_NS_PER_S},
		{"min", 60 * EP_NS_PER_S},
		{"h", 3600 * EP_NS_PER_S},
	};
	struct decimal d;
	unsigned __int128 value;
	size_t u = 0;
	const char *rest = decimal_scan(text, &d);

	if (rest == NULL)
		return ep_err_set(
			err, -EINVAL, "%s '%s' is no duration; " DURATION_HELP, what, text);
	if (*rest == '\0')
		return ep_err_set(err, -EINVAL, "%s '%s' has no unit; " DURATION_HELP, what, text);
	while (u < EP_ARRAY_LEN(unit) && strcmp(rest, unit[u].name) != 0)
		u++;
	if (u == EP_ARRAY_LEN(unit))
		return ep_err_set(err, -EINVAL, "%s '%s' has the unknown unit '%s'; " DURATION_HELP,
			what, text, rest);
	value = (unsigned __int128)d.mantissa * unit[u].ns / d.divisor;
	if (d.huge || value > DURATION_MAX_NS)
		return ep_err_set(err, -ERANGE,
			"%s '%s' is too long; allowed are at most 366 days (8784h)", what, text);
	if (value == 0)
		return ep_err_set(err, -EINVAL, "%s '%s' is zero; " DURATION_HELP, what, text);
	*ns = (uint64_t)value;
	return 0;
}

static int
rate_check(const struct ep_rate *rate, const char *text, const char *what, struct ep_err *err)
{
	if (!(rate->value > 0))
		return ep_err_set(err, -EINVAL, "%s '%s' is zero; " RATE_HELP, what, text);
	if (rate->kind == EP_RATE_RATIO && rate->value > 1)
		return ep_err_set(err, -EINVAL,
			"%s '%s' is above the link speed; allowed are at most 100%%", what, text);
	if (rate->kind == EP_RATE_PPS && rate->value > RATE_MAX_PPS)
		return ep_err_set(err, -ERANGE, "%s '%s' is too high; allowed are at most 10Gpps",
			what, text);
	if (rate->kind == EP_RATE_BPS && rate->value > RATE_MAX_BPS)
		return ep_err_set(err, -ERANGE, "%s '%s' is too high; allowed are at most 10Tbps",
			what, text);
	return 0;
}

int
ep_rate_parse(const char *text, const char *what, struct ep_rate *rate, struct ep_err *err)
{
	static const struct {
		const char *name;
		enum ep_rate_kind kind;
		double factor;
	} unit[] = {
		{"pps", EP_RATE_PPS, 1},
		{"kpps", EP_RATE_PPS, 1e3},
		{"Mpps", EP_RATE_PPS, 1e6},
		{"Gpps", EP_RATE_PPS, 1e9},
		{"bps", EP_RATE_BPS, 1},
		{"kbps", EP_RATE_BPS, 1e3},
		{"Mbps", EP_RATE_BPS, 1e6},
		{"Gbps", EP_RATE_BPS, 1e9},
		{"Tbps", EP_RATE_BPS, 1e12},
		{"%", EP_RATE_RATIO, 1},
	};
	struct ep_rate parsed;
	struct decimal d;
	size_t u = 0;
	const char *rest = decimal_scan(text, &d);
	int ret;

	if (strcmp(text, "max") == 0) {
		*rate = (struct ep_rate){.kind = EP_RATE_MAX};
		return 0;
	}
	if (rest == NULL)
		return ep_err_set(err, -EINVAL, "%s '%s' is no rate; " RATE_HELP, what, text);
	if (*rest == '\0')
		return ep_err_set(err, -EINVAL, "%s '%s' has no unit; " RATE_HELP, what, text);
	/* No unit of these is a "milli", so "mpps" can only mean one thing. */
	while (u < EP_ARRAY_LEN(unit) && strcasecmp(rest, unit[u].name) != 0)
		u++;
	if (u == EP_ARRAY_LEN(unit))
		return ep_err_set(err, -EINVAL, "%s '%s' has the unknown unit '%s'; " RATE_HELP,
			what, text, rest);
	parsed = (struct ep_rate){.kind = unit[u].kind, .value = decimal_value(&d, unit[u].factor)};
	if (parsed.kind == EP_RATE_RATIO)
		parsed.value /= 100;
	ret = rate_check(&parsed, text, what, err);
	if (ret == 0)
		*rate = parsed;
	return ret;
}

double
ep_rate_pps(const struct ep_rate *rate, double frame_bytes, double link_bps)
{
	const double wire_bits = 8 * (frame_bytes + EP_WIRE_OVERHEAD_BYTES);

	switch (rate->kind) {
	case EP_RATE_PPS:
		return rate->value;
	case EP_RATE_BPS:
		return rate->value / wire_bits;
	case EP_RATE_RATIO:
		return rate->value * link_bps / wire_bits;
	case EP_RATE_MAX:
		break;
	}
	return 0;
}

int
ep_ratio_parse(const char *text, const char *what, double *ratio, struct ep_err *err)
{
	const bool negative = text[0] == '-';
	struct decimal d;
	double value;
	const char *rest = decimal_scan(text + negative, &d);

	if (rest == NULL || (*rest != '\0' && strcmp(rest, "%") != 0))
		return ep_err_set(err, -EINVAL, "%s '%s' is no ratio; " RATIO_HELP, what, text);
	value = decimal_value(&d, 1);
	if (*rest == '%')
		value /= 100;
	if (value > 1 || (negative && value > 0))
		return ep_err_set(err, -ERANGE, "%s '%s' is out of range; " RATIO_HELP, what, text);
	*ratio = value;
	return 0;
}

int
ep_count_parse(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *count,
	struct ep_err *err)
{
	uint64_t value = 0;
	bool overflow = false;
	const char *c = text;

	for (; is_digit(*c); c++) {
		overflow |= __builtin_mul_overflow(value, 10, &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*c - '0'), &value);
	}
	if (c == text || *c != '\0')
		return ep_err_set(err, -EINVAL, "%s '%s' is no whole number; allowed is %ju to %ju",
			what, text, (uintmax_t)min, (uintmax_t)max);
	if (overflow || value < min || value > max)
		return ep_err_set(err, -ERANGE, "%s '%s' is out of range; allowed is %ju to %ju",
			what, text, (uintmax_t)min, (uintmax_t)max);
	*count = value;
	return 0;
}
