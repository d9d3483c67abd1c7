/*
 * Many connections to one port (RFC 3511 sections 5.2 and 5.3): opened at a rate, held, and each one asked at the end. Only one that
 * answers counts: a firewall may well have answered the handshake itself, or have forgotten the connection since.
 *
 *   OPEN (rate) -> HOLD (time) -> ASK (all, within a second) -> DONE
 */

#include "tcpcheck_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Descriptors that the rest of the program may need. */
#define FILES_OTHER 128
/* Connects or messages in one go. */
#define BATCH 128
#define TICK_NS EP_NS_PER_MS

enum capacity_phase { CAPACITY_OPEN, CAPACITY_HOLD, CAPACITY_ASK, CAPACITY_DONE };
/* Phases of a line. */
enum { WAITING, HELD, ASKED, ENDED };

struct tc_capacity {
	struct tc_io tick;
	enum capacity_phase phase;
	struct ep_tcpcheck_capacity_cfg cfg;
	struct ep_tcpcheck_target target;
	struct ep_tcpcheck_capacity state; /* Quantiles are not filled in. */
	struct ep_hist connect, answer;
	uint64_t start_ns;
	uint32_t waiting;     /* Lines whose connect, or whose answer, is to come. */
	uint32_t asked;       /* Lines that ASK has passed. */
	struct tc_line *line; /* [cfg.connections] */
};

int
ep_tcpcheck_files(uint32_t needed, struct ep_err *err)
{
	const rlim_t wanted = (rlim_t)needed + FILES_OTHER;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return ep_err_set(
			err, -errno, "the limit of open files cannot be read: %s", strerror(errno));
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= wanted)
		return 0;
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= wanted) {
		limit.rlim_cur = wanted;
		if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
			return 0;
	}
	return ep_err_set(err, -EMFILE,
		"%u connections need %llu open files, this process may have %llu; raise the limit "
		"with: ulimit -Hn %llu",
		needed, (unsigned long long)wanted, (unsigned long long)limit.rlim_max,
		(unsigned long long)wanted);
}

static void
hist_add(struct ep_hist *hist, uint64_t ns)
{
	ep_hist_push(hist, ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX);
}

/* A checker has one at a time: what an earlier one opened is closed. */
static void
capacity_close(struct ep_tcpcheck *c, struct tc_capacity *k)
{
	for (uint32_t i = 0; i < k->state.started; i++)
		if (k->line[i].state != TC_LINE_DOWN)
			tc_line_close(c, &k->line[i], true);
}

void
tc_capacity_free(struct ep_tcpcheck *c)
{
	if (c->capacity == NULL)
		return;
	capacity_close(c, c->capacity);
	tc_io_tick_end(c, &c->capacity->tick);
	free(c->capacity->line);
	free(c->capacity);
	c->capacity = NULL;
}

static struct ep_tcpcheck_target
capacity_target(const struct ep_tcpcheck_capacity_cfg *cfg)
{
	struct ep_tcpcheck_target target = {
		.transport = EP_TCPCHECK_TCP, .port = cfg->port, .check = EP_TCPCHECK_ICE_TCP};

	if (cfg->check == EP_TCPCHECK_HTTP)
		target.check = EP_TCPCHECK_HTTP;
	if (cfg->check == EP_TCPCHECK_STUN || cfg->check == EP_TCPCHECK_TURN)
		target.check = EP_TCPCHECK_STUN;
	return target;
}

static int
capacity_create(
	struct ep_tcpcheck *c, const struct ep_tcpcheck_capacity_cfg *cfg, struct ep_err *err)
{
	struct tc_capacity *k = calloc(1, sizeof(*k));
	struct tc_line *line = calloc(cfg->connections, sizeof(*line));

	/* Room for all timers now: later there is nobody to tell. */
	if (k == NULL || line == NULL || tc_timer_reserve(c, cfg->connections + 1) < 0 ||
		tc_io_tick(c, &k->tick, TC_TICK_CAPACITY) < 0) {
		free(k);
		free(line);
		return ep_err_set(err, -ENOMEM, "no memory for %u connections", cfg->connections);
	}
	k->line = line;
	k->cfg = *cfg;
	k->target = capacity_target(cfg);
	k->state.wanted = cfg->connections;
	k->state.memory_bytes =
		sizeof(*k) + (uint64_t)cfg->connections * (sizeof(*line) + sizeof(struct tc_io *));
	c->capacity = k;
	return 0;
}

int
ep_tcpcheck_capacity_start(struct ep_tcpcheck *c, const struct ep_tcpcheck_capacity_cfg *cfg,
	uint64_t now_ns, struct ep_err *err)
{
	int ret = ep_tcpcheck_files(cfg->connections, err);

	tc_capacity_free(c);
	if (ret == 0)
		ret = capacity_create(c, cfg, err);
	if (ret < 0)
		return ret;
	c->capacity->start_ns = now_ns;
	tc_timer_set(c, &c->capacity->tick, now_ns);
	return 0;
}

/* --- Phases --------------------------------------------------------------------------------------------------------------- */

static void
capacity_done(struct ep_tcpcheck *c, struct tc_capacity *k)
{
	k->phase = CAPACITY_DONE;
	k->state.done = true;
	tc_timer_clear(c, &k->tick);
	capacity_close(c, k);
}

/* After each end: whether the phase is over with it. */
static void
capacity_check(struct ep_tcpcheck *c, struct tc_capacity *k, uint64_t now_ns)
{
	if (k->waiting > 0)
		return;
	if (k->phase == CAPACITY_OPEN && k->state.started == k->cfg.connections) {
		k->state.open_ns = now_ns > k->start_ns ? now_ns - k->start_ns : 1;
		k->phase = CAPACITY_HOLD;
		tc_timer_set(c, &k->tick, now_ns + k->cfg.hold_ns);
	} else if (k->phase == CAPACITY_ASK && k->asked == k->cfg.connections) {
		capacity_done(c, k);
	}
}

static void
capacity_open_failed(struct tc_capacity *k, struct tc_line *line, enum ep_tcpcheck_status status)
{
	line->phase = ENDED;
	k->waiting--;
	k->state.connect_failed[status]++;
}

/* The connects that are due. */
static void
capacity_open(struct ep_tcpcheck *c, struct tc_capacity *k, uint64_t now_ns)
{
	for (int n = 0; n < BATCH && k->state.started < k->cfg.connections; n++) {
		const double due = (double)k->state.started * 1e9 / k->cfg.rate_hz;
		struct tc_line *line = &k->line[k->state.started];

		if (k->start_ns + (uint64_t)due > now_ns) {
			tc_timer_set(c, &k->tick, k->start_ns + (uint64_t)due);
			return;
		}
		*line = (struct tc_line){
			.owner = TC_LINE_CAPACITY, .index = k->state.started, .phase = WAITING};
		k->state.started++;
		k->waiting++;
		tc_line_open(c, line, &k->target, now_ns);
		if (line->state == TC_LINE_DOWN)
			capacity_open_failed(k, line, (enum ep_tcpcheck_status)line->status);
		else
			tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
	}
	if (k->state.started < k->cfg.connections)
		tc_timer_set(c, &k->tick, now_ns + TICK_NS);
	capacity_check(c, k, now_ns);
}

static void
capacity_ask_one(
	struct ep_tcpcheck *c, struct tc_capacity *k, struct tc_line *line, uint64_t now_ns)
{
	if (line->phase != HELD)
		return;
	line->phase = ASKED;
	k->state.messages++;
	k->waiting++;
	/* What cannot be sent is not answered; a broken connection tells so by its event. */
	tc_line_say(c, line, now_ns);
	tc_timer_set(c, &line->io, now_ns + c->timeout_ns);
}

static void
capacity_ask(struct ep_tcpcheck *c, struct tc_capacity *k, uint64_t now_ns)
{
	for (int n = 0; n < BATCH && k->asked < k->cfg.connections; n++)
		capacity_ask_one(c, k, &k->line[k->asked++], now_ns);
	if (k->asked < k->cfg.connections)
		tc_timer_set(c, &k->tick, now_ns + TICK_NS);
	else
		capacity_check(c, k, now_ns);
}

void
tc_capacity_tick(struct ep_tcpcheck *c, uint64_t now_ns)
{
	struct tc_capacity *k = c->capacity;

	switch (k->phase) {
	case CAPACITY_OPEN:
		capacity_open(c, k, now_ns);
		break;
	case CAPACITY_HOLD:
		k->phase = CAPACITY_ASK;
		capacity_ask(c, k, now_ns);
		break;
	case CAPACITY_ASK:
		capacity_ask(c, k, now_ns);
		break;
	case CAPACITY_DONE:
		break;
	}
}

/* --- Lines ---------------------------------------------------------------------------------------------------------------- */

static void
capacity_up(struct ep_tcpcheck *c, struct tc_capacity *k, struct tc_line *line, uint64_t now_ns)
{
	const uint64_t ns = now_ns - line->start_ns;

	tc_timer_clear(c, &line->io);
	line->phase = HELD;
	k->waiting--;
	k->state.established++;
	k->state.held++;
	hist_add(&k->connect, ns);
	if (ns > k->state.max_ns)
		k->state.max_ns = ns;
}

static void
capacity_answered(
	struct ep_tcpcheck *c, struct tc_capacity *k, struct tc_line *line, uint64_t now_ns)
{
	const uint64_t ns = now_ns - line->sent_ns;

	if (line->phase != ASKED)
		return;
	tc_timer_clear(c, &line->io);
	line->phase = ENDED;
	k->waiting--;
	k->state.answered++;
	hist_add(&k->answer, ns);
	if (ns > k->state.answer_max_ns)
		k->state.answer_max_ns = ns;
}

static void
capacity_gone(struct tc_capacity *k, struct tc_line *line)
{
	switch (line->phase) {
	case WAITING:
		capacity_open_failed(k, line, (enum ep_tcpcheck_status)line->status);
		return;
	case HELD:
		k->state.held--;
		k->state.lost_held++;
		break;
	case ASKED:
		k->waiting--;
		break;
	default:
		break;
	}
	line->phase = ENDED;
}

void
tc_capacity_event(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct tc_capacity *k = c->capacity;
	enum tc_line_event event;

	do {
		event = tc_line_take(c, line, now_ns);
		if (event == TC_LINE_IS_UP)
			capacity_up(c, k, line, now_ns);
		else if (event == TC_LINE_ANSWERED)
			capacity_answered(c, k, line, now_ns);
		else if (event == TC_LINE_GONE)
			capacity_gone(k, line);
	} while (event == TC_LINE_IS_UP || event == TC_LINE_ANSWERED);
	capacity_check(c, k, now_ns);
}

void
tc_capacity_timer(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct tc_capacity *k = c->capacity;

	if (line->phase == WAITING) {
		tc_line_close(c, line, true);
		capacity_open_failed(k, line, EP_TCPCHECK_FILTERED);
	} else if (line->phase == ASKED) {
		k->state.acknowledged += tc_line_taken(line);
		line->phase = ENDED;
		k->waiting--;
	}
	capacity_check(c, k, now_ns);
}

static uint64_t
quantile(const struct ep_hist *hist, double q, uint64_t max_ns)
{
	const uint32_t ns = ep_hist_quantile_ns(hist, q);

	return ns == UINT32_MAX ? max_ns : ns;
}

void
ep_tcpcheck_capacity(const struct ep_tcpcheck *c, struct ep_tcpcheck_capacity *state)
{
	const struct tc_capacity *k = c->capacity;

	*state = (struct ep_tcpcheck_capacity){0};
	if (k == NULL)
		return;
	*state = k->state;
	if (state->open_ns > 0)
		state->rate_hz = (double)state->established * 1e9 / (double)state->open_ns;
	state->p50_ns = quantile(&k->connect, 0.5, state->max_ns);
	state->p99_ns = quantile(&k->connect, 0.99, state->max_ns);
	state->answer_p50_ns = quantile(&k->answer, 0.5, state->answer_max_ns);
	state->answer_p99_ns = quantile(&k->answer, 0.99, state->answer_max_ns);
}
