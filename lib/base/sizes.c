#include "ep_base.h"

#include <errno.h>
#include <string.h>

#define FRAME_MIN_BYTES 64
#define FRAME_MAX_BYTES 9018

#define SIZES_HELP                                                                                 \
	"allowed are 1 to 16 frame sizes of 64 to 9018 B with FCS, such as 64 or 64,200,1256, or " \
	"imix"

/* Seven small, four medium, one large frame, no two of the larger kinds in a row but where they have to be. */
static const struct ep_sizes imix = {
	.count = 12,
	.frame_bytes = {64, 570, 64, 64, 570, 64, 1518, 570, 64, 64, 570, 64},
};

/* Read "64" or "64B" up to a comma or the end; saturates. Returns what follows, or NULL. */
static const char *
size_scan(const char *text, uint32_t *bytes)
{
	const char *c = text;

	for (*bytes = 0; *c >= '0' && *c <= '9'; c++) {
		if (*bytes <= FRAME_MAX_BYTES)
			*bytes = *bytes * 10 + (uint32_t)(*c - '0');
	}
	if (c == text)
		return NULL;
	if (*c == 'B')
		c++;
	return *c == ',' || *c == '\0' ? c : NULL;
}

int
ep_sizes_parse(const char *text, const char *what, struct ep_sizes *sizes, struct ep_err *err)
{
	struct ep_sizes parsed = {0};
	const char *entry = text;

	if (strcmp(text, "imix") == 0) {
		*sizes = imix;
		return 0;
	}
	for (;;) {
		const int entry_len = (int)strcspn(entry, ",");
		uint32_t bytes;
		const char *rest = size_scan(entry, &bytes);

		if (rest == NULL)
			return ep_err_set(err, -EINVAL, "%s '%.*s' is no frame size; " SIZES_HELP,
				what, entry_len, entry);
		if (bytes < FRAME_MIN_BYTES || bytes > FRAME_MAX_BYTES)
			return ep_err_set(err, -ERANGE, "%s '%.*s' is out of range; " SIZES_HELP,
				what, entry_len, entry);
		if (parsed.count == EP_SIZES_MAX)
			return ep_err_set(
				err, -E2BIG, "%s '%s' has too many sizes; " SIZES_HELP, what, text);
		parsed.frame_bytes[parsed.count++] = (uint16_t)bytes;
		if (*rest == '\0')
			break;
		entry = rest + 1;
	}
	*sizes = parsed;
	return 0;
}

double
ep_sizes_mean(const struct ep_sizes *sizes)
{
	double sum_bytes = 0;

	for (uint32_t i = 0; i < sizes->count; i++)
		sum_bytes += sizes->frame_bytes[i];
	return sum_bytes / sizes->count;
}
