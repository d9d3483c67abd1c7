#include "livekit_priv.h"

#include <errno.h>
#include <string.h>

#define PORT_HELP "a number from 0 (none) to 65535, without quotes"
#define UDP_PORT_HELP "a port from 1 to 65535, or a range of them such as 7882-7892"

static bool
is_any(const char *text, size_t len, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
			return true;
	return false;
}

/* LiveKit's reader takes YAML 1.1's words for values that must be true or false. */
static int
bool_scalar(const char *text, size_t len, bool plain, struct livekit_value *value)
{
	static const char *const yes[] = {
		"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"};
	static const char *const no[] = {
		"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N"};

	value->is_true = is_any(text, len, yes, EP_ARRAY_LEN(yes));
	if (!plain || (!value->is_true && !is_any(text, len, no, EP_ARRAY_LEN(no))))
		return -EINVAL;
	return 0;
}

/* A decimal number up to 65535. A zero in front would be an octal number in YAML. */
static int
port_number(const char *text, size_t len, uint16_t *port)
{
	uint32_t number = 0;

	if (len == 0 || (len > 1 && text[0] == '0'))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (number <= UINT16_MAX)
			number = number * 10 + (uint32_t)(text[i] - '0');
	}
	if (number > UINT16_MAX)
		return -ERANGE;
	*port = (uint16_t)number;
	return 0;
}

static void
blanks_cut(const char **text, size_t *len)
{
	while (*len > 0 && (*text)[0] == ' ') {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && (*text)[*len - 1] == ' ')
		(*len)--;
}

/* "7882", "7882-7892", "7882 - 7892". */
static int
udp_port_scalar(const char *text, size_t len, struct livekit_value *value)
{
	const char *const minus = memchr(text, '-', len);
	const char *end = minus != NULL ? minus + 1 : NULL;
	size_t start_len = minus != NULL ? (size_t)(minus - text) : len;
	size_t end_len = len - start_len - 1;
	int ret;

	if (minus != NULL)
		blanks_cut(&text, &start_len);
	ret = port_number(text, start_len, &value->port);
	if (ret < 0 || end == NULL)
		return ret;
	blanks_cut(&end, &end_len);
	ret = port_number(end, end_len, &value->end);
	return ret == 0 && (value->port == 0 || value->end == 0) ? -ERANGE : ret;
}

static int
name_scalar(const char *text, size_t len, struct livekit_value *value)
{
	if (len >= sizeof(value->text))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return -EINVAL;
	memcpy(value->text, text, len);
	value->text[len] = '\0';
	return 0;
}

static int
port_scalar(
	enum livekit_key key, const char *text, size_t len, bool plain, struct livekit_value *value)
{
	const int ret = plain ? port_number(text, len, &value->port) : -EINVAL;

	return ret == 0 && key == LIVEKIT_PORT && value->port == 0 ? -ERANGE : ret;
}

int
livekit_scalar(enum livekit_key key, const char *text, size_t len, bool plain,
	struct livekit_value *value, const char **allowed)
{
	int ret;

	switch (key) {
	case LIVEKIT_DEVELOPMENT:
	case LIVEKIT_TCP_FALLBACK:
	case LIVEKIT_TURN_ENABLED:
	case LIVEKIT_TURN_EXTERNAL_TLS:
		*allowed = "true or false, without quotes";
		ret = bool_scalar(text, len, plain, value);
		break;
	case LIVEKIT_TURN_DOMAIN:
		*allowed = "a host name of at most 255 characters";
		ret = name_scalar(text, len, value);
		break;
	case LIVEKIT_UDP_PORT:
		*allowed = UDP_PORT_HELP;
		/* Empty in quotes is as if it was not there. */
		if (len == 0 && !plain)
			return 0;
		ret = udp_port_scalar(text, len, value);
		break;
	case LIVEKIT_PORT:
		*allowed = "a number from 1 to 65535, without quotes";
		ret = port_scalar(key, text, len, plain, value);
		break;
	default:
		*allowed = PORT_HELP;
		ret = port_scalar(key, text, len, plain, value);
		break;
	}
	value->given = ret == 0;
	return ret;
}
