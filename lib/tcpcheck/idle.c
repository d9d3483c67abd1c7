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

/* Between two connects to one port [ns]. */
#define GAP_NS (UINT64_C(20) * EP_NS_PER_MS)

struct tc_idle {
	struct tc_io tick; /* Runs while lines are to be opened. */
	uint64_t start_ns;
	uint32_t target_count; /* Ports: each has the whole ladder. */
	uint32_t target[EP_TCPCHECK_TARGETS_MAX];
	uint32_t rung_count; /* Ages of the ladder. */
	uint32_t line_count, opened, running;
	struct ep_tcpcheck_age *age; /* [target_count * rung_count], by target, ascending. */
	struct tc_line *line;        /* [line_count]; index is that of its age. */
};

static uint32_t
idle_age_count(const struct tc_idle *d)
{
	return d->target_count * d->rung_count;
}

static void
idle_destroy(struct tc_idle *d)
{
	free(d->age);
	free(d->line);
	free(d);
}

void
tc_idle_free(struct ep_tcpcheck *c)
{
	struct tc_idle *d = c->idle;

	if (d == NULL)
		return;
	for (uint32_t i = 0; i < d->opened; i++)
		if (d->line[i].state != TC_LINE_DOWN)
			tc_line_close(c, &d->line[i], true);
	if (d->opened < d->line_count)
		tc_io_tick_end(c, &d->tick);
	idle_destroy(d);
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

/* The ports that have a ladder. */
static void
idle_targets(const struct ep_tcpcheck *c, struct tc_idle *d)
{
	for (uint32_t i = 0; i < c->targets.count; i++)
		if (c->targets.target[i].transport == EP_TCPCHECK_TCP && tc_target_is_first(c, i))
			d->target[d->target_count++] = i;
}

static int
idle_ages(const struct ep_tcpcheck *c, struct tc_idle *d, uint64_t longest_ns)
{
	uint64_t age_ns[EP_TCPCHECK_AGES_MAX];

	d->rung_count = ages_of(longest_ns, age_ns);
	d->line_count = d->running = idle_age_count(d) * EP_TCPCHECK_AGE_CONNECTIONS;
	d->age = calloc(idle_age_count(d), sizeof(*d->age));
	d->line = calloc(d->line_count, sizeof(*d->line));
	if (d->age == NULL || d->line == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < idle_age_count(d); i++) {
		d->age[i].port = c->targets.target[d->target[i / d->rung_count]].port;
		d->age[i].age_ns = age_ns[i % d->rung_count];
	}
	return 0;
}

static int
idle_prepare(struct ep_tcpcheck *c, struct tc_idle *d, uint64_t longest_ns, struct ep_err *err)
{
	int ret;

	idle_targets(c, d);
	if (d->target_count == 0)
		return ep_err_set(
			err, -EINVAL, "the idle test has no TCP port to hold connections to");
	ret = idle_ages(c, d, longest_ns);
	if (ret == 0)
		ret = ep_tcpcheck_files(d->line_count, err);
	/* Room for all timers now: later there is nobody to tell. */
	if (ret == 0)
		ret = tc_timer_reserve(c, d->line_count + 1);
	if (ret == 0)
		ret = tc_io_tick(c, &d->tick, TC_TICK_IDLE);
	return ret == -ENOMEM
		? ep_err_set(err, ret, "no memory for the connections of the idle test")
		: ret;
}

int
ep_tcpcheck_idle_start(
	struct ep_tcpcheck *c, uint64_t longest_ns, uint64_t now_ns, struct ep_err *err)
{
	struct tc_idle *d = calloc(1, sizeof(*d));
	int ret;

	tc_idle_free(c);
	if (d == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the connections of the idle test");
	ret = idle_prepare(c, d, longest_ns, err);
	if (ret < 0) {
		idle_destroy(d);
		return ret;
	}
	d->start_ns = now_ns;
	c->idle = d;
	tc_timer_set(c, &d->tick, now_ns);
	return 0;
}

static void
idle_failed(struct tc_idle *d, struct tc_line *line, enum ep_tcpcheck_status status)
{
	struct ep_tcpcheck_age *age = &d->age[line->index];

	line->phase = ENDED;
	d->running--;
	if (age->failed++ == 0)
		age->failed_status = status;
}

/* Line k: ports in turn, the longest age first. */
static void
idle_open(struct ep_tcpcheck *c, uint32_t k, uint64_t now_ns)
{
	struct tc_idle *d = c->idle;
	const uint32_t column = k % d->target_count, row = k / d->target_count;
	const uint32_t rung = d->rung_count - 1 - row / EP_TCPCHECK_AGE_CONNECTIONS;
	struct tc_line *line = &d->line[k];

	*line = (struct tc_line){
		.owner = TC_LINE_IDLE, .index = column * d->rung_count + rung, .phase = CONNECT};
	tc_line_open(c, line, &c->targets.target[d->target[column]], now_ns);
	if (line->state == TC_LINE_DOWN)
		idle_failed(d, line, (enum ep_tcpcheck_status)line->status);
	else
		tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
}

void
tc_idle_tick(struct ep_tcpcheck *c, uint64_t now_ns)
{
	struct tc_idle *d = c->idle;

	while (d->opened < d->line_count) {
		const uint64_t due_ns = d->start_ns + d->opened / d->target_count * GAP_NS;

		if (due_ns > now_ns) {
			tc_timer_set(c, &d->tick, due_ns);
			return;
		}
		idle_open(c, d->opened++, now_ns);
	}
	tc_io_tick_end(c, &d->tick);
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
		idle_failed(c->idle, line, (enum ep_tcpcheck_status)line->status);
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
		if (line->phase == SILENT && (age->reset_ns == 0 || since_ns < age->reset_ns))
			age->reset_ns = since_ns;
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
		idle_failed(c->idle, line, EP_TCPCHECK_FILTERED);
		break;
	case FIRST: /* It does not answer: its TCP does, or nothing is known of it. */
		if (tc_line_taken(line)) {
			idle_silence(c, line, line->sent_ns);
			break;
		}
		tc_line_close(c, line, true);
		idle_failed(c->idle, line, EP_TCPCHECK_FILTERED);
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
	const uint32_t count = c->idle != NULL ? idle_age_count(c->idle) : 0;

	if (count > 0)
		memcpy(age, c->idle->age, (count < max ? count : max) * sizeof(*age));
	return count;
}
