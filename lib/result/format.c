/* Numbers as people read them. */

#include "ep_result.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *
ep_result_count_format(char *buf, size_t len, uint64_t count)
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t out = 0;

	for (int i = 0; i < n && out + 1 < len; i++) {
		if (i > 0 && (n - i) % 3 == 0 && out + 2 < len)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	if (len > 0)
		buf[out] = '\0';
	return buf;
}

const char *
ep_result_percent_format(char *buf, size_t len, double ratio, int digits)
{
	const double percent = ratio * 100;
	char number[64];
	int decimals = digits - 1;

	/* Fixed notation: people do not read 1e-05. A digit before the point costs one behind it. */
	if (percent > 0)
		decimals -= (int)floor(log10(percent));
	decimals = decimals < 0 ? 0 : decimals > 15 ? 15 : decimals;
	snprintf(number, sizeof(number), "%.*f", decimals, percent);
	if (strchr(number, '.') != NULL) {
		size_t end = strlen(number);

		while (number[end - 1] == '0')
			end--;
		number[number[end - 1] == '.' ? end - 1 : end] = '\0';
	}
	snprintf(buf, len, "%s %%", number);
	return buf;
}
