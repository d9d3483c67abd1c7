#include "ep_base.h"

#include <stdio.h>

/* A unit is left for the next one when four digits would show this value or more in it. */
struct unit {
	const char *name;
	double scale;
	double limit;
};

/* "%.4g" of anything from here on shows 1000. */
#define ROUNDS_TO_1000 999.95

static const char *
format_units(char *buf, size_t len, double value, const struct unit *unit)
{
	while (unit->limit > 0 && value / unit->scale >= unit->limit)
		unit++;
	snprintf(buf, len, "%.4g %s", value / unit->scale, unit->name);
	return buf;
}

const char *
ep_pps_format(char *buf, size_t len, double pps)
{
	static const struct unit unit[] = {
		{"pps", 1, ROUNDS_TO_1000},
		{"kpps", 1e3, ROUNDS_TO_1000},
		{"Mpps", 1e6, ROUNDS_TO_1000},
		{"Gpps", 1e9, 0},
	};

	return format_units(buf, len, pps, unit);
}

const char *
ep_duration_format(char *buf, size_t len, uint64_t ns)
{
	static const struct unit unit[] = {
		{"ns", 1, ROUNDS_TO_1000},
		{"us", 1e3, ROUNDS_TO_1000},
		{"ms", 1e6, ROUNDS_TO_1000},
		{"s", 1e9, 120},
		{"min", 60e9, 120},
		{"h", 3600e9, 0},
	};

	return format_units(buf, len, (double)ns, unit);
}

const char *
ep_text_format(char *buf, size_t len, const void *bytes, size_t count)
{
	const unsigned char *const in = bytes;
	size_t i = 0;

	for (; i < count && i < len - 1; i++)
		buf[i] = in[i] >= ' ' && in[i] <= '~' ? (char)in[i] : '?';
	buf[i] = '\0';
	return buf;
}
