/* LiveKit's defaults, as its configuration code has them (pkg/config, and rtcconfig of mediatransportutil, 2026). */

#include "livekit_priv.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_PORT 7880
#define DEFAULT_TCP_PORT 7881
#define DEFAULT_MUX_DEVELOPMENT 7882
#define DEFAULT_RANGE ((struct ep_livekit_range){50000, 60000})
#define DEFAULT_RELAY ((struct ep_livekit_range){30000, 40000})
#define DEFAULT_RELAY_DEVELOPMENT ((struct ep_livekit_range){30000, 30002})

/* A range whose ends are the wrong way round is taken as it was meant; livekit_check() tells. */
static struct ep_livekit_range
range_of(uint16_t first, uint16_t last)
{
	return first <= last ? (struct ep_livekit_range){first, last}
			     : (struct ep_livekit_range){last, first};
}

static void
media_resolve(const struct livekit_raw *raw, struct ep_livekit *livekit)
{
	const uint16_t start = raw->value[LIVEKIT_RANGE_START].port;
	const uint16_t end = raw->value[LIVEKIT_RANGE_END].port;
	const struct livekit_value *const mux = &raw->value[LIVEKIT_UDP_PORT];

	livekit->media_kind = EP_LIVEKIT_MEDIA_RANGE;
	livekit->media_given = true;
	if (start != 0 && end != 0) {
		livekit->media = range_of(start, end);
	} else if (mux->port != 0) {
		livekit->media_kind = EP_LIVEKIT_MEDIA_MUX;
		livekit->media = range_of(mux->port, mux->end != 0 ? mux->end : mux->port);
	} else if (start != 0) {
		livekit->media_kind = EP_LIVEKIT_MEDIA_ANY;
	} else if (raw->value[LIVEKIT_DEVELOPMENT].is_true) {
		livekit->media_kind = EP_LIVEKIT_MEDIA_MUX;
		livekit->media = range_of(DEFAULT_MUX_DEVELOPMENT, DEFAULT_MUX_DEVELOPMENT);
		livekit->media_given = false;
	} else {
		livekit->media = DEFAULT_RANGE;
		livekit->media_given = false;
	}
}

static void
turn_resolve(const struct livekit_raw *raw, struct ep_livekit *livekit)
{
	const uint16_t start = raw->value[LIVEKIT_RELAY_START].port;
	const uint16_t end = raw->value[LIVEKIT_RELAY_END].port;

	livekit->turn_enabled = raw->value[LIVEKIT_TURN_ENABLED].is_true;
	livekit->turn_external_tls = raw->value[LIVEKIT_TURN_EXTERNAL_TLS].is_true;
	livekit->turn_tls_port = raw->value[LIVEKIT_TURN_TLS_PORT].port;
	livekit->turn_udp_port = raw->value[LIVEKIT_TURN_UDP_PORT].port;
	livekit->turn_relay_given = start != 0 && end != 0;
	if (livekit->turn_relay_given)
		livekit->turn_relay = range_of(start, end);
	else if (raw->value[LIVEKIT_DEVELOPMENT].is_true)
		livekit->turn_relay = DEFAULT_RELAY_DEVELOPMENT;
	else
		livekit->turn_relay = DEFAULT_RELAY;
	memcpy(livekit->turn_domain, raw->value[LIVEKIT_TURN_DOMAIN].text,
		sizeof(livekit->turn_domain));
}

void
livekit_resolve(const struct livekit_raw *raw, struct ep_livekit *livekit)
{
	const struct livekit_value *const port = &raw->value[LIVEKIT_PORT];
	const struct livekit_value *const tcp_port = &raw->value[LIVEKIT_TCP_PORT];

	livekit->port = port->given ? port->port : DEFAULT_PORT;
	livekit->tcp_port = tcp_port->given ? tcp_port->port : DEFAULT_TCP_PORT;
	media_resolve(raw, livekit);
	turn_resolve(raw, livekit);
}

int
ep_livekit_parse(const char *text, size_t len, const char *what, struct ep_livekit *livekit,
	struct ep_err *err)
{
	struct livekit_raw raw = {0};
	int ret;

	if (len > EP_LIVEKIT_FILE_MAX)
		return ep_err_set(err, -EFBIG, "%s has %zu B; at most %u B are read", what, len,
			EP_LIVEKIT_FILE_MAX);
	ret = livekit_read(text, len, what, &raw, err);
	if (ret < 0)
		return ret;
	*livekit = (struct ep_livekit){0};
	livekit_resolve(&raw, livekit);
	livekit_check(&raw, livekit);
	return 0;
}
