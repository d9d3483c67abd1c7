/*
 * How long an idle connection survives: a ladder of ages side by side, each connection used for one age only, so that no message
 * refreshes another's state on the way. The age is counted from the last packet before the silence.
 *
 *   CONNECT -> FIRST (message, answer or none) -> SILENT (age) -> ASK (message) -> ended
 */

#include "tcpcheck_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT, FIRST, SILENT, ASK, ENDED };

/* Where the time-outs of NATs and firewalls lie, with neighbours on either side (reference N9) [s]. */
static const uint16_t ladder_s[] = {5, 10, 15, 20, 25, 28, 30, 32, 35, 45, 60, 90, 110, 120, 125,
	150, 180, 230, 240, 250, 300, 345, 350, 355, 400, 600};

struct tc_idle {
	uint32_t age_count; /* Of all targets. */
	uint32_t line_count, running;
	struct ep_tcpcheck_age *age; /* [age_count], by target, ascending. */
	struct tc_line *line;        /* [line_count]; index is that of its age. */
};

void
tc_idle_free(struct ep_tcpcheck *c)
{
	struct tc_idle *d = c->idle;

	if (d == NULL)
		return;
	for (uint32_t i = 0; i < d->line_count; i++)
		if (d->line[i].state != TC_LINE_DOWN)
			tc_line_close(c, &d->line[i], true);
	free(d->age);
	free(d->line);
	free(d);
	c->idle = NULL;
}

/* Ages up to and with the longest. @return their number. */
static uint32_t
ages_of(uint64_t longest_ns, uint64_t age_ns[EP_TCPCHECK_AGES_MAX])
{
	uint32_t n = 0;

	while (n < EP_ARRAY_LEN(ladder_s) && ladder_s[n] * EP_NS_PER_S < longest_ns) {
		age_ns[n] = ladder_s[n] * EP_NS_PER_S;
		n++;
	}
	age_ns[n++] = longest_ns;
	return n;
}

static bool
idle_wants(const struct ep_tcpcheck *c, uint32_t target)
{
	return c->targets.target[target].transport == EP_TCPCHECK_TCP &&
		tc_target_is_first(c, target);
}

static int
idle_create(struct ep_tcpcheck *c, uint32_t targets, uint32_t ages, struct ep_err *err)
{
	struct tc_idle *d = calloc(1, sizeof(*d));
	const uint32_t lines = targets * ages * EP_TCPCHECK_AGE_CONNECTIONS;
	int ret = ep_tcpcheck_files(lines, err);

	if (ret == 0 && d != NULL) {
		d->age = calloc((size_t)targets * ages, sizeof(*d->age));
		d->line = calloc(lines, sizeof(*d->line));
	}
	if (ret == 0 &&
		(d == NULL || d->age == NULL || d->line == NULL || tc_timer_reserve(c, lines) < 0))
		ret = ep_err_set(err, -ENOMEM, "no memory for %u connections", lines);
	if (ret < 0) {
		if (d != NULL) {
			free(d->age);
			free(d->line);
		}
		free(d);
		return ret;
	}
	c->idle = d;
	return 0;
}

static void
idle_failed(struct tc_idle *d, struct tc_line *line)
{
	line->phase = ENDED;
	d->running--;
	d->age[line->index].failed++;
}

static void
idle_open(struct ep_tcpcheck *c, uint32_t target, uint32_t age, uint64_t now_ns)
{
	struct tc_idle *d = c->idle;
	struct tc_line *line = &d->line[d->line_count++];

	*line = (struct tc_line){.owner = TC_LINE_IDLE, .index = age, .phase = CONNECT};
	d->running++;
	tc_line_open(c, line, &c->targets.target[target], now_ns);
	if (line->state == TC_LINE_DOWN)
		idle_failed(d, line);
	else
		tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
}

int
ep_tcpcheck_idle_start(
	struct ep_tcpcheck *c, uint64_t longest_ns, uint64_t now_ns, struct ep_err *err)
{
	uint64_t age_ns[EP_TCPCHECK_AGES_MAX];
	const uint32_t ages = ages_of(longest_ns, age_ns);
	uint32_t targets = 0;
	int ret;

	for (uint32_t i = 0; i < c->targets.count; i++)
		targets += idle_wants(c, i);
	tc_idle_free(c);
	if (targets == 0)
		return ep_err_set(
			err, -EINVAL, "the idle test has no TCP port to hold connections to");
	ret = idle_create(c, targets, ages, err);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < c->targets.count; i++) {
		for (uint32_t k = 0; k < ages && idle_wants(c, i); k++) {
			const uint32_t age = c->idle->age_count++;

			c->idle->age[age].port = c->targets.target[i].port;
			c->idle->age[age].age_ns = age_ns[k];
			for (int n = 0; n < EP_TCPCHECK_AGE_CONNECTIONS; n++)
				idle_open(c, i, age, now_ns);
		}
	}
	return 0;
}

/* The silence begins: from now on nothing is said for the line's age. */
static void
idle_silence(struct ep_tcpcheck *c, struct tc_line *line, uint64_t last_packet_ns)
{
	struct ep_tcpcheck_age *age = &c->idle->age[line->index];

	line->phase = SILENT;
	age->connections++;
	tc_timer_set(c, &line->io, last_packet_ns + age->age_ns);
}

static void
idle_up(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	if (line->say == TC_SAY_NOTHING) {
		idle_silence(c, line, now_ns);
		return;
	}
	line->phase = FIRST;
	tc_line_say(c, line, now_ns);
	tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
}

static void
idle_end(struct ep_tcpcheck *c, struct tc_line *line)
{
	line->phase = ENDED;
	c->idle->running--;
	if (line->state != TC_LINE_DOWN)
		tc_line_close(c, line, true);
}

static void
idle_answered(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	if (line->phase == FIRST) {
		idle_silence(c, line, now_ns);
	} else if (line->phase == ASK) {
		c->idle->age[line->index].alive++;
		idle_end(c, line);
	}
}

/* A service that closes by itself (FIN) has a time-out of its own; a RST comes from a way that has forgotten the connection too. */
static void
idle_gone(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct ep_tcpcheck_age *age = &c->idle->age[line->index];
	const uint64_t since_ns = now_ns - line->up_ns;

	if (line->phase == CONNECT || line->phase == FIRST) {
		idle_failed(c->idle, line);
		return;
	}
	if (line->phase == ENDED)
		return;
	if (line->fin) {
		age->closed++;
		if (age->closed_ns == 0 || since_ns < age->closed_ns)
			age->closed_ns = since_ns;
	} else if (line->status == EP_TCPCHECK_FILTERED) {
		age->lost++;
	} else {
		age->reset++;
	}
	idle_end(c, line);
}

void
tc_idle_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	enum tc_line_event event;

	do {
		event = tc_line_take(c, line, now_ns);
		if (event == TC_LINE_IS_UP)
			idle_up(c, line, now_ns);
		else if (event == TC_LINE_ANSWERED)
			idle_answered(c, line, now_ns);
		else if (event == TC_LINE_GONE)
			idle_gone(c, line, now_ns);
	} while (event == TC_LINE_IS_UP || event == TC_LINE_ANSWERED);
}

/* Ask after the silence. A port of which nothing is known but that it connects is asked by TCP: an empty keepalive has no answer that
 * could be waited for, so that a byte it is. */
static void
idle_ask(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	line->phase = ASK;
	if (line->say == TC_SAY_NOTHING)
		tc_sock_byte(line->io.fd);
	else
		tc_line_say(c, line, now_ns);
	tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
}

void
tc_idle_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct ep_tcpcheck_age *age = &c->idle->age[line->index];

	switch (line->phase) {
	case CONNECT:
		tc_line_close(c, line, true);
		idle_failed(c->idle, line);
		break;
	case FIRST: /* It does not answer: its TCP does, or nothing is known of it. */
		if (tc_line_taken(line)) {
			idle_silence(c, line, line->sent_ns);
			break;
		}
		tc_line_close(c, line, true);
		idle_failed(c->idle, line);
		break;
	case SILENT:
		idle_ask(c, line, now_ns);
		break;
	case ASK:
		if (tc_line_taken(line))
			age->alive++;
		else
			age->lost++;
		idle_end(c, line);
		break;
	default:
		break;
	}
}

bool
ep_tcpcheck_idle_done(const struct ep_tcpcheck *c)
{
	return c->idle == NULL || c->idle->running == 0;
}

uint32_t
ep_tcpcheck_idle(const struct ep_tcpcheck *c, struct ep_tcpcheck_age *age, uint32_t max)
{
	const uint32_t count = c->idle != NULL ? c->idle->age_count : 0;

	if (count > 0)
		memcpy(age, c->idle->age, (count < max ? count : max) * sizeof(*age));
	return count;
}
