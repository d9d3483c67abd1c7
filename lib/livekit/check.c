/* Where a configuration contradicts itself. Each sentence says what the file has and what LiveKit does with it. */

#include "livekit_priv.h"

#include <stdarg.h>
#include <stdio.h>

/* Values under check. */
struct check {
	const struct livekit_value *value; /* [LIVEKIT_KEYS] */
	struct ep_livekit *livekit;
};

__attribute__((format(printf, 2, 3))) static void
tell(struct check *c, const char *fmt, ...)
{
	struct ep_livekit *const l = c->livekit;
	va_list args;

	if (l->contradiction_count == EP_LIVEKIT_CONTRADICTIONS_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(l->contradiction[l->contradiction_count++], EP_LIVEKIT_SENTENCE_BYTES, fmt, args);
	va_end(args);
}

static void
half_range_check(struct check *c)
{
	const uint16_t start = c->value[LIVEKIT_RANGE_START].port;
	const uint16_t end = c->value[LIVEKIT_RANGE_END].port;
	const uint16_t mux = c->value[LIVEKIT_UDP_PORT].port;

	if ((start != 0) == (end != 0))
		return;
	if (mux != 0)
		tell(c,
			"only one of rtc.port_range_start and rtc.port_range_end is set (%u): "
			"LiveKit ignores it and uses rtc.udp_port %u",
			start + end, mux);
	else if (start != 0)
		tell(c,
			"rtc.port_range_start is %u but rtc.port_range_end is not set: LiveKit "
			"sends media from any free UDP port",
			start);
	else
		tell(c,
			"rtc.port_range_end is %u but rtc.port_range_start is not set: LiveKit "
			"ignores it and uses UDP %u to %u",
			end, c->livekit->media.first, c->livekit->media.last);
}

static void
media_check(struct check *c)
{
	const uint16_t start = c->value[LIVEKIT_RANGE_START].port;
	const uint16_t end = c->value[LIVEKIT_RANGE_END].port;
	const struct livekit_value *const mux = &c->value[LIVEKIT_UDP_PORT];

	half_range_check(c);
	if (start != 0 && end != 0 && (mux->port != 0 || mux->is_list))
		tell(c,
			"rtc.port_range_start %u and rtc.port_range_end %u are set beside "
			"rtc.udp_port: LiveKit uses the range and ignores rtc.udp_port",
			start, end);
	if (start > end && end != 0)
		tell(c,
			"rtc.port_range_start %u is above rtc.port_range_end %u: LiveKit does not "
			"start",
			start, end);
	if (mux->is_list)
		tell(c,
			"rtc.udp_port is a list, which LiveKit ignores: write one port, or a range "
			"such as 7882-7892");
	if (mux->end != 0 && mux->end <= mux->port)
		tell(c,
			"rtc.udp_port is %u-%u, but its end must be above its start: LiveKit does "
			"not start",
			mux->port, mux->end);
}

static void
fallback_check(struct check *c)
{
	const struct livekit_value *const fallback = &c->value[LIVEKIT_TCP_FALLBACK];
	const uint16_t tcp_port = c->livekit->tcp_port;

	if (tcp_port == 0 && fallback->is_true)
		tell(c,
			"rtc.allow_tcp_fallback is true but rtc.tcp_port is 0: there is no TCP "
			"port to fall back to");
	if (tcp_port != 0 && fallback->given && !fallback->is_true)
		tell(c,
			"rtc.allow_tcp_fallback is false but rtc.tcp_port is %u: LiveKit does not "
			"move clients with bad UDP to it",
			tcp_port);
	if (tcp_port != 0 && tcp_port < 1024 && tcp_port != 80 && tcp_port != 443)
		tell(c, "rtc.tcp_port is %u: below 1024 browsers take 80 and 443 only for ICE-TCP",
			tcp_port);
}

static void
turn_off_check(struct check *c)
{
	if (c->livekit->turn_udp_port != 0)
		tell(c,
			"turn.udp_port is %u but turn.enabled is not true: LiveKit runs no TURN "
			"server",
			c->livekit->turn_udp_port);
	if (c->livekit->turn_tls_port != 0)
		tell(c,
			"turn.tls_port is %u but turn.enabled is not true: LiveKit runs no TURN "
			"server",
			c->livekit->turn_tls_port);
}

static void
relay_check(struct check *c)
{
	const uint16_t start = c->value[LIVEKIT_RELAY_START].port;
	const uint16_t end = c->value[LIVEKIT_RELAY_END].port;
	const struct ep_livekit_range relay = c->livekit->turn_relay;

	if (start == 0 && end == 0)
		tell(c,
			"turn.enabled is true but turn.relay_range_start and turn.relay_range_end "
			"are not set: LiveKit relays over UDP %u to %u",
			relay.first, relay.last);
	else if (start == 0 || end == 0)
		tell(c,
			"only one of turn.relay_range_start and turn.relay_range_end is set (%u): "
			"LiveKit ignores it and relays over UDP %u to %u",
			start + end, relay.first, relay.last);
	else if (start > end)
		tell(c,
			"turn.relay_range_start %u is above turn.relay_range_end %u: no relay "
			"address can be had",
			start, end);
}

static void
turn_check(struct check *c)
{
	const struct ep_livekit *const l = c->livekit;
	const uint16_t udp_port = l->turn_udp_port;

	if (!l->turn_enabled) {
		turn_off_check(c);
		return;
	}
	if (udp_port == 0 && l->turn_tls_port == 0)
		tell(c,
			"turn.enabled is true but neither turn.udp_port nor turn.tls_port is set: "
			"LiveKit does not start");
	if (l->turn_tls_port != 0 && l->turn_domain[0] == '\0')
		tell(c, "turn.tls_port is %u but turn.domain is not set: LiveKit does not start",
			l->turn_tls_port);
	if (udp_port != 0 && udp_port < 1024 && udp_port != 53 && udp_port != 80 && udp_port != 443)
		tell(c, "turn.udp_port is %u: below 1024 browsers take 53, 80 and 443 only",
			udp_port);
	relay_check(c);
}

/* Ports of one protocol by name. */
struct use {
	const char *name;
	struct ep_livekit_range ports;
};

static void
overlap_check(struct check *c, const char *protocol, const struct use *use, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t j = i + 1; j < count; j++) {
			const struct ep_livekit_range a = use[i].ports, b = use[j].ports;
			const uint16_t first = a.first > b.first ? a.first : b.first;
			const uint16_t last = a.last < b.last ? a.last : b.last;

			if (a.first == 0 || b.first == 0 || first > last)
				continue;
			if (first == last)
				tell(c, "%s and %s both use %s port %u: only one of them gets it",
					use[i].name, use[j].name, protocol, first);
			else
				tell(c,
					"%s and %s both use %s ports %u to %u: they take them from "
					"each other",
					use[i].name, use[j].name, protocol, first, last);
		}
}

static void
overlaps_check(struct check *c)
{
	const struct ep_livekit *const l = c->livekit;
	const uint16_t turn_tls = l->turn_enabled ? l->turn_tls_port : 0;
	const uint16_t turn_udp = l->turn_enabled ? l->turn_udp_port : 0;
	const bool mux = l->media_kind == EP_LIVEKIT_MEDIA_MUX;
	const struct use tcp[] = {
		{"port", {l->port, l->port}},
		{"rtc.tcp_port", {l->tcp_port, l->tcp_port}},
		{"turn.tls_port", {turn_tls, turn_tls}},
	};
	const struct use udp[] = {
		{mux ? "rtc.udp_port" : "rtc.port_range_start to _end", l->media},
		{"turn.udp_port", {turn_udp, turn_udp}},
		{"turn.relay_range_start to _end",
			l->turn_enabled ? l->turn_relay : (struct ep_livekit_range){0}},
	};

	overlap_check(c, "TCP", tcp, EP_ARRAY_LEN(tcp));
	overlap_check(c, "UDP", udp, EP_ARRAY_LEN(udp));
}

void
livekit_check(const struct livekit_raw *raw, struct ep_livekit *livekit)
{
	struct check c = {.value = raw->value, .livekit = livekit};

	media_check(&c);
	fallback_check(&c);
	turn_check(&c);
	overlaps_check(&c);
}
