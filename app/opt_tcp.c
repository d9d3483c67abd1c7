#include "opt_tcp.h"

#include "livekit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The longest name of DNS, and of what else is put into a message. */
#define NAME_MAX_BYTES 253
#define UFRAG_MAX_BYTES 250
#define PWD_MAX_BYTES 255
#define ISSUER_MAX_BYTES 127
/* The responder gives up on an initiator that says nothing for 15 s, and a check has up to three levels. */
#define TIMEOUT_MAX_NS (60 * EP_NS_PER_S)
#define TIMEOUT_RUN_MAX_NS (4 * EP_NS_PER_S)
#define TIMEOUT_MIN_NS (100 * EP_NS_PER_MS)
#define IDLE_MAX_NS (UINT64_C(24) * 3600 * EP_NS_PER_S)
#define RATE_MAX_HZ 10000

/* A list is only checked here: what it is put in place of is known at the end. */
static int
list_check(const char *text, const char *what, enum ep_tcpcheck_transport transport,
	struct ep_err *err)
{
	struct ep_tcpcheck_targets targets = {0};

	return ep_tcpcheck_targets_parse(text, what, transport, &targets, err);
}

int
opt_set_tcp(struct config *c, const char *text, struct ep_err *err)
{
	c->tcp_text = text;
	return list_check(text, "--tcp", EP_TCPCHECK_TCP, err);
}

int
opt_set_udp_stun(struct config *c, const char *text, struct ep_err *err)
{
	c->udp_stun_text = text;
	return list_check(text, "--udp-stun", EP_TCPCHECK_UDP, err);
}

int
opt_set_preset(struct config *c, const char *text, struct ep_err *err)
{
	struct ep_tcpcheck_targets targets;

	c->preset = text;
	return ep_tcpcheck_targets_preset(text, &targets, err);
}

int
opt_set_livekit_yaml(struct config *c, const char *text, struct ep_err *err)
{
	(void)err;
	c->livekit_path = text;
	return 0;
}

/* A word that goes into a message as it is: printable ASCII without spaces. */
static int
word_check(const char *text, const char *what, size_t max, bool spaces, struct ep_err *err)
{
	const size_t len = strlen(text);

	if (len == 0 || len > max)
		return ep_err_set(err, -EINVAL, "%s: has %zu characters, allowed are 1 to %zu",
			what, len, max);
	for (size_t i = 0; i < len; i++)
		if (text[i] > '~' || text[i] < (spaces ? ' ' : '!'))
			return ep_err_set(err, -EINVAL,
				"%s: character %zu is not allowed, give printable ASCII%s", what,
				i + 1, spaces ? "" : " without spaces");
	return 0;
}

/* A name that TLS may ask for: none is an address (RFC 6066 section 3), and no part of it is empty. */
static int
name_check(const char *text, const char *what, struct ep_err *err)
{
	struct ep_wire_ip ip;

	if (word_check(text, what, NAME_MAX_BYTES, false, err) < 0)
		return err->code;
	if (ep_wire_ip_parse(text, &ip, NULL) == 0)
		return ep_err_set(err, -EINVAL,
			"%s %s: is an address, and TLS asks for names only; give the name of the "
			"server, or leave it out",
			what, text);
	if (text[0] == '.' || strstr(text, "..") != NULL)
		return ep_err_set(err, -EINVAL,
			"%s %s: a part between dots is empty; give a name such as "
			"meet.example.org",
			what, text);
	return 0;
}

int
opt_set_sni(struct config *c, const char *text, struct ep_err *err)
{
	c->sni = text;
	return name_check(text, "--sni", err);
}

int
opt_set_turn_sni(struct config *c, const char *text, struct ep_err *err)
{
	c->turn_sni = text;
	return name_check(text, "--turn-sni", err);
}

int
opt_set_expect_issuer(struct config *c, const char *text, struct ep_err *err)
{
	c->expect_issuer = text;
	return word_check(text, "--expect-issuer", ISSUER_MAX_BYTES, true, err);
}

int
opt_set_ufrag(struct config *c, const char *text, struct ep_err *err)
{
	c->ufrag = text;
	return word_check(text, "--ufrag", UFRAG_MAX_BYTES, false, err);
}

int
opt_set_pwd(struct config *c, const char *text, struct ep_err *err)
{
	c->pwd = text;
	return word_check(text, "--pwd", PWD_MAX_BYTES, false, err);
}

static int
duration_within(const char *text, const char *what, uint64_t min_ns, uint64_t max_ns, uint64_t *ns,
	struct ep_err *err)
{
	char min[32], max[32];
	const int ret = ep_duration_parse(text, what, ns, err);

	if (ret == 0 && (*ns < min_ns || *ns > max_ns))
		return ep_err_set(err, -ERANGE, "%s %s: allowed is %s to %s", what, text,
			ep_duration_format(min, sizeof(min), min_ns),
			ep_duration_format(max, sizeof(max), max_ns));
	return ret;
}

int
opt_set_tcp_timeout(struct config *c, const char *text, struct ep_err *err)
{
	return duration_within(
		text, "--tcp-timeout", TIMEOUT_MIN_NS, TIMEOUT_MAX_NS, &c->tcp_timeout_ns, err);
}

/* "10/s" */
static int
rate_hz(const char *text, const char *what, double *hz, struct ep_err *err)
{
	char *end;
	const double value = strtod(text, &end);

	if (end == text || strcmp(end, "/s") != 0)
		return ep_err_set(
			err, -EINVAL, "%s '%s': give a number a second, such as 10/s", what, text);
	/* Written so that a NaN is refused as well. */
	if (!(value >= 0.1 && value <= RATE_MAX_HZ))
		return ep_err_set(
			err, -ERANGE, "%s '%s': allowed is 0.1/s to %d/s", what, text, RATE_MAX_HZ);
	*hz = value;
	return 0;
}

int
opt_set_tcp_rate(struct config *c, const char *text, struct ep_err *err)
{
	return rate_hz(text, "--tcp-rate", &c->tcp_rate_hz, err);
}

int
opt_set_connections(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--connections", 1, 60000, &c->connections, err);
}

int
opt_set_hold(struct config *c, const char *text, struct ep_err *err)
{
	c->hold_text = text;
	return duration_within(text, "--hold", EP_NS_PER_MS, IDLE_MAX_NS, &c->hold_ns, err);
}

int
opt_set_connect_rate(struct config *c, const char *text, struct ep_err *err)
{
	c->connect_rate_text = text;
	return rate_hz(text, "--connect-rate", &c->connect_rate_hz, err);
}

int
opt_set_port(struct config *c, const char *text, struct ep_err *err)
{
	return ep_count_parse(text, "--port", 1, UINT16_MAX, &c->capacity_port, err);
}

int
opt_set_idle(struct config *c, const char *text, struct ep_err *err)
{
	return duration_within(text, "--idle", EP_NS_PER_S, IDLE_MAX_NS, &c->idle_ns, err);
}

/* --- Together --------------------------------------------------------------------------------------------------------------- */

/* What serve answers on: TURN has two usual ports over UDP. */
static const struct ep_tcpcheck_target serve_udp = {EP_TCPCHECK_UDP, 3478, EP_TCPCHECK_TURN, true};

static int
finish_base(struct config *c, const struct command *command, struct ep_err *err)
{
	int ret = ep_tcpcheck_targets_preset(
		c->preset != NULL ? c->preset : "plugnmeet", &c->targets, err);

	if (ret == 0 && c->preset == NULL && command->bit == COMMAND_SERVE)
		ret = ep_tcpcheck_targets_add(&c->targets, &serve_udp);
	if (ret == 0 && c->livekit_path != NULL)
		ret = opt_livekit_read(c, err);
	return ret;
}

static int
finish_turn_sni(struct config *c, struct ep_err *err)
{
	const struct ep_tcpcheck_targets had = c->targets;

	for (uint32_t i = 0; c->turn_sni != NULL && i < had.count; i++) {
		struct ep_tcpcheck_target t = had.target[i];

		if (t.check != EP_TCPCHECK_TLS)
			continue;
		t.check = EP_TCPCHECK_TURN_TLS;
		if (ep_tcpcheck_targets_add(&c->targets, &t) < 0)
			return ep_err_set(err, -ERANGE,
				"--turn-sni: too many checks, at most %d are allowed",
				EP_TCPCHECK_TARGETS_MAX);
	}
	return 0;
}

/* Probes and STUN cannot share a port: on those of --ports the data path takes all UDP. */
static int
finish_udp(struct config *c, struct ep_err *err)
{
	struct ep_tcpcheck_targets kept = {0};

	for (uint32_t i = 0; i < c->targets.count; i++) {
		const struct ep_tcpcheck_target *t = &c->targets.target[i];

		if (t->transport == EP_TCPCHECK_UDP && ep_range_has(c->range, t->port)) {
			if (c->udp_stun_text != NULL)
				return ep_err_set(err, -EINVAL,
					"--udp-stun %s: port %u is one of --ports, whose UDP "
					"belongs to the load",
					c->udp_stun_text, t->port);
			continue;
		}
		kept.target[kept.count++] = *t;
	}
	c->targets = kept;
	return 0;
}

static void
finish_ports(struct config *c)
{
	c->tcp_count = 0;
	for (uint32_t i = 0; i < c->targets.count; i++) {
		const struct ep_tcpcheck_target *t = &c->targets.target[i];

		if (t->transport == EP_TCPCHECK_TCP &&
			(c->tcp_count == 0 || c->tcp[c->tcp_count - 1] != t->port))
			c->tcp[c->tcp_count++] = t->port;
	}
}

int
opt_tcp_finish(struct config *c, const struct command *command, struct ep_err *err)
{
	int ret = finish_base(c, command, err);

	if (ret == 0 && c->tcp_text != NULL)
		ret = ep_tcpcheck_targets_parse(
			c->tcp_text, "--tcp", EP_TCPCHECK_TCP, &c->targets, err);
	if (ret == 0 && c->udp_stun_text != NULL)
		ret = ep_tcpcheck_targets_parse(
			c->udp_stun_text, "--udp-stun", EP_TCPCHECK_UDP, &c->targets, err);
	if (ret == 0)
		ret = finish_turn_sni(c, err);
	if (ret == 0 && command->bit != COMMAND_TCP)
		ret = finish_udp(c, err);
	if (ret == 0 && command->bit != COMMAND_TCP && c->tcp_timeout_ns > TIMEOUT_RUN_MAX_NS)
		ret = ep_err_set(err, -ERANGE,
			"--tcp-timeout: at most 4 s in a run, whose responder waits no longer for "
			"three "
			"levels of a check");
	if (ret == 0)
		finish_ports(c);
	return ret;
}
