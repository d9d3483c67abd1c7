#include "ctrl_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t
rng_next(struct rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
rng_below(struct rng *rng, uint64_t count)
{
	return rng_next(rng) % count;
}

struct rng
rng_from_env(void)
{
	const char *text = getenv("EP_TEST_SEED");
	const struct rng rng = {text != NULL ? strtoull(text, NULL, 0) : 1};

	printf("# EP_TEST_SEED=%ju\n", (uintmax_t)rng.state);
	fflush(stdout);
	return rng;
}

/* --- Random messages -------------------------------------------------------------------------- */

/** In [min, max], often a bound. */
static uint64_t
between(struct rng *rng, uint64_t min, uint64_t max)
{
	switch (rng_below(rng, 8)) {
	case 0:
		return min;
	case 1:
		return max;
	default:
		return min + rng_next(rng) % (max - min + 1);
	}
}

static uint64_t
any_count(struct rng *rng)
{
	return between(rng, 0, INT64_MAX) >> rng_below(rng, 63);
}

static double
any_rate(struct rng *rng)
{
	return (double)between(rng, 0, UINT64_C(1) << 53) / (double)(UINT64_C(1) << 53) * 1e10;
}

/** min to size - 1 bytes, with characters of one to four bytes and some that JSON escapes. */
static void
any_text(struct rng *rng, char *text, size_t size, size_t min)
{
	static const char *const pieces[] = {"a", "Z", "7", " ", "\"", "\\", "/", "\xc3\xa9",
		"\xe2\x82\xac", "\xf0\x9f\x98\x80"};
	const size_t want = between(rng, min, size - 1);
	size_t len = 0;

	memset(text, 0, size);
	while (len < want) {
		const char *piece = pieces[rng_below(rng, EP_ARRAY_LEN(pieces))];

		if (len + strlen(piece) > want)
			piece = "x";
		memcpy(text + len, piece, strlen(piece));
		len += strlen(piece);
	}
}

static void
any_bytes(struct rng *rng, uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)rng_next(rng);
}

static void
any_ip(struct rng *rng, struct ep_wire_ip *ip)
{
	ip->family = rng_below(rng, 2) ? EP_WIRE_IPV4 : EP_WIRE_IPV6;
	any_bytes(rng, ip->bytes_be, ip->family == EP_WIRE_IPV4 ? 4 : 16);
}

/* Left out, there but knowing nothing, or whole. */
static void
spread_random(struct rng *rng, struct ep_ctrl_hello *hello)
{
	struct ep_plan_rss *rss = &hello->rss;

	hello->takes_sources = rng_below(rng, 4) != 0;
	hello->has_rss = hello->takes_sources && rng_below(rng, 3) != 0;
	if (!hello->has_rss)
		return;
	rss->hash = rng_below(rng, 2) ? EP_PLAN_HASH_PORTS : EP_PLAN_HASH_ADDRESSES;
	rss->key_bytes = (uint32_t)between(rng, EP_PLAN_KEY_MIN, EP_PLAN_KEY_MAX);
	any_bytes(rng, rss->key, rss->key_bytes);
	rss->reta_count = UINT32_C(1) << rng_below(rng, 13);
	for (uint32_t i = 0; i < rss->reta_count; i++)
		rss->reta[i] = (uint16_t)rng_below(rng, EP_PLAN_QUEUES_MAX);
}

static void
hello_random(struct rng *rng, struct ep_ctrl_hello *hello)
{
	spread_random(rng, hello);
	any_text(rng, hello->tool, sizeof(hello->tool), 1);
	any_text(rng, hello->ports, sizeof(hello->ports), 1);
	any_ip(rng, &hello->initiator);
	hello->source_count = (uint32_t)between(rng, 1, 65536);
	hello->source_base = (uint16_t)between(rng, 0, 65535);
	hello->source_span = (uint32_t)between(rng, 1, 65536);
	hello->seed = rng_next(rng);
	hello->rate_pps = any_rate(rng);
	hello->frame_bytes_max = (uint16_t)between(rng, 64, 9018);
	hello->duration_ns = between(rng, 0, EP_CTRL_DURATION_MAX_NS);
	hello->drain_ns = between(rng, 0, EP_CTRL_DURATION_MAX_NS);
	hello->sweeps = (uint32_t)between(rng, 0, EP_CTRL_SWEEPS_MAX);
}

static void
welcome_random(struct rng *rng, struct ep_ctrl_welcome *welcome)
{
	welcome->has_sources = rng_below(rng, 3) != 0;
	if (welcome->has_sources) {
		welcome->sources.source_base = (uint16_t)between(rng, 1, 65535);
		welcome->sources.source_span = (uint32_t)between(rng, 1, 65536);
		welcome->sources.up_ratio = any_rate(rng);
		welcome->sources.down_ratio = any_rate(rng);
	}
	any_text(rng, welcome->tool, sizeof(welcome->tool), 1);
	any_ip(rng, &welcome->responder);
	welcome->limit_pps = any_rate(rng);
	welcome->limit_duration_ns = any_count(rng);
	welcome->limit_flows = any_count(rng);
	any_text(rng, welcome->cpu, sizeof(welcome->cpu), 0);
	any_text(rng, welcome->driver, sizeof(welcome->driver), 0);
	welcome->listen_count = (uint32_t)between(rng, 0, EP_CTRL_LISTEN_MAX);
	for (uint32_t i = 0; i < welcome->listen_count; i++) {
		welcome->listen[i].port = (uint16_t)between(rng, 1, 65535);
		welcome->listen[i].ours = rng_below(rng, 2) != 0;
		any_text(rng, welcome->listen[i].text, sizeof(welcome->listen[i].text), 0);
	}
}

static void
prepare_random(struct rng *rng, struct ep_ctrl_prepare *prepare)
{
	prepare->trial = UTIL_TRIAL;
	prepare->sweep = rng_below(rng, 2) != 0;
	prepare->mode = prepare->sweep ? EP_CTRL_MODE_ECHO : (enum ep_ctrl_mode)rng_below(rng, 4);
	any_bytes(rng, prepare->nonce, sizeof(prepare->nonce));
	prepare->rate_pps = any_rate(rng);
	prepare->duration_ns = between(rng, 1, EP_CTRL_DURATION_MAX_NS);
	prepare->burst_pkts = (uint32_t)between(rng, 0, EP_CTRL_BURST_MAX);
	prepare->size_count = (uint32_t)between(rng, 1, EP_ARRAY_LEN(prepare->frame_bytes));
	for (uint32_t i = 0; i < prepare->size_count; i++)
		prepare->frame_bytes[i] = (uint16_t)between(rng, 64, 9018);
}

/** Structs of counters are all uint64_t. */
static void
counts_random(struct rng *rng, void *counts, size_t bytes)
{
	uint64_t *count = counts;

	for (size_t i = 0; i < bytes / sizeof(*count); i++)
		count[i] = any_count(rng);
}

static void
icmp_random(struct rng *rng, struct ep_ctrl_report *report)
{
	assert_int_equal(ep_slow_icmp_create(UTIL_PORTS, &report->icmp), 0);
	for (int v = 0; v < EP_SLOW_OTHER; v++)
		report->icmp->count[v] = any_count(rng);
	report->icmp->missed = any_count(rng);
	for (int i = 0; i < 10; i++) {
		struct ep_slow_kind kind = {
			.type = (uint8_t)between(rng, 0, 255),
			.code = (uint8_t)between(rng, 0, 255),
			.mtu_bytes = (uint32_t)between(rng, 0, UINT32_MAX),
		};

		any_ip(rng, &kind.from);
		ep_slow_icmp_add(report->icmp, (uint32_t)rng_below(rng, UTIL_PORTS), &kind,
			(uint32_t)between(rng, 1, UINT32_MAX));
	}
}

static void
nic_random(struct rng *rng, struct ep_ctrl_report *report)
{
	struct ep_nic_changes *nic = calloc(1, sizeof(*nic));

	assert_non_null(nic);
	nic->known = true;
	any_text(rng, nic->driver, sizeof(nic->driver), 0);
	nic->omitted = (uint32_t)between(rng, 0, UINT32_MAX);
	nic->gone = (uint32_t)between(rng, 0, UINT32_MAX);
	nic->count = (uint32_t)between(rng, 0, EP_NIC_CHANGES_MAX);
	for (uint32_t i = 0; i < nic->count; i++) {
		struct ep_nic_change *c = &nic->change[i];

		c->source = (enum ep_nic_source)rng_below(rng, EP_NIC_SOURCES);
		any_text(rng, c->name, sizeof(c->name), 1);
		c->count = between(rng, 1, INT64_MAX);
		c->at_least = rng_below(rng, 2) != 0;
	}
	report->nic = nic;
}

struct ep_nic_changes *
util_nic_largest(void)
{
	struct ep_nic_changes *nic = calloc(1, sizeof(*nic));

	assert_non_null(nic);
	nic->known = true;
	nic->omitted = nic->gone = UINT32_MAX;
	nic->count = EP_NIC_CHANGES_MAX;
	memset(nic->driver, '"', sizeof(nic->driver) - 1);
	for (uint32_t i = 0; i < nic->count; i++) {
		nic->change[i] =
			(struct ep_nic_change){.source = EP_NIC_ETHTOOL, .count = INT64_MAX};
		memset(nic->change[i].name, '\\', sizeof(nic->change[i].name) - 1);
	}
	return nic;
}

static void
queues_random(struct rng *rng, struct ep_ctrl_report *report)
{
	struct ep_ctrl_queues *q = &report->queues;

	q->count = (uint32_t)between(rng, 1, EP_CTRL_QUEUES_MAX);
	counts_random(rng, q->received, q->count * sizeof(q->received[0]));
	q->expected_ratio = any_rate(rng);
	any_text(rng, q->steering, sizeof(q->steering), 0);
	report->port_queue = malloc(UTIL_PORTS);
	assert_non_null(report->port_queue);
	for (uint32_t i = 0; i < UTIL_PORTS; i++)
		report->port_queue[i] = rng_below(rng, 4) == 0 ? EP_CTRL_QUEUE_NONE
							       : (uint8_t)rng_below(rng, q->count);
}

static void
report_random(struct rng *rng, struct ep_ctrl_report *report)
{
	report->trial = UTIL_TRIAL;
	report->port_count = UTIL_PORTS;
	report->up = calloc(UTIL_PORTS, sizeof(*report->up));
	report->down_sent = calloc(UTIL_PORTS, sizeof(*report->down_sent));
	assert_non_null(report->up);
	assert_non_null(report->down_sent);
	counts_random(rng, &report->totals, sizeof(report->totals));
	report->has_pacing = true;
	report->pacing = (struct ep_ctrl_pacing){
		.burst_pkts = (uint32_t)between(rng, 0, EP_CTRL_BURST_MAX),
		.intended_pps = any_rate(rng),
		.offered_pps = any_rate(rng),
		.clock_error_ppm = any_rate(rng),
		.clock_drift_ppm = any_rate(rng),
	};
	counts_random(rng, &report->pacing.departure_count,
		offsetof(struct ep_ctrl_pacing, clock_error_ppm) -
			offsetof(struct ep_ctrl_pacing, departure_count));
	icmp_random(rng, report);
	nic_random(rng, report);
	queues_random(rng, report);
	counts_random(rng, report->down_sent, UTIL_PORTS * sizeof(*report->down_sent));
	for (uint32_t i = 0; i < UTIL_PORTS; i++) {
		struct ep_acct_port *port = &report->up[i];

		counts_random(rng, port->count, sizeof(port->count));
		port->late = any_count(rng);
		port->wrong_port = any_count(rng);
		port->bytes = any_count(rng);
		port->echo_refused = any_count(rng);
	}
}

void
body_random(struct rng *rng, enum ctrl_msg msg, struct ep_ctrl_event *body)
{
	memset(body, 0, sizeof(*body));
	switch (msg) {
	case CTRL_HELLO:
		hello_random(rng, &body->hello);
		break;
	case CTRL_WELCOME:
		welcome_random(rng, &body->welcome);
		break;
	case CTRL_REFUSE:
		body->refuse.code = (enum ep_ctrl_refusal)rng_below(rng, 5);
		any_text(rng, body->refuse.text, sizeof(body->refuse.text), 0);
		break;
	case CTRL_PREPARE:
		prepare_random(rng, &body->prepare);
		break;
	case CTRL_READY:
		any_bytes(rng, body->nonce, sizeof(body->nonce));
		break;
	case CTRL_BEAT:
		body->beat = (struct ep_ctrl_beat){
			UTIL_TRIAL, any_count(rng), any_count(rng), rng_below(rng, 2) != 0};
		break;
	case CTRL_REPORT:
		report_random(rng, &body->report);
		break;
	default:
		break;
	}
}

void
body_free(enum ctrl_msg msg, struct ep_ctrl_event *body)
{
	if (msg == CTRL_REPORT)
		ep_ctrl_report_fini(&body->report);
}

/* Member by member where there is padding. */
static bool
pacing_equal(const struct ep_ctrl_pacing *a, const struct ep_ctrl_pacing *b)
{
	const size_t from = offsetof(struct ep_ctrl_pacing, intended_pps);

	return a->burst_pkts == b->burst_pkts &&
		memcmp((const uint8_t *)a + from, (const uint8_t *)b + from, sizeof(*a) - from) ==
		0;
}

/* Entries of kinds that differ: what they say, port by port. */
static bool
icmp_equal(const struct ep_slow_icmp *a, const struct ep_slow_icmp *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return memcmp(a->count, b->count, sizeof(a->count)) == 0 && a->missed == b->missed &&
		a->kind_count == b->kind_count &&
		memcmp(a->kind, b->kind, a->kind_count * sizeof(a->kind[0])) == 0 &&
		memcmp(a->port, b->port, a->port_count * sizeof(a->port[0])) == 0;
}

static bool
nic_equal(const struct ep_nic_changes *a, const struct ep_nic_changes *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->change[i].source != b->change[i].source ||
			a->change[i].count != b->change[i].count ||
			a->change[i].at_least != b->change[i].at_least ||
			strcmp(a->change[i].name, b->change[i].name) != 0)
			return false;
	return a->known == b->known && strcmp(a->driver, b->driver) == 0 &&
		a->omitted == b->omitted && a->gone == b->gone && a->count == b->count;
}

static bool
queues_equal(const struct ep_ctrl_report *a, const struct ep_ctrl_report *b)
{
	const struct ep_ctrl_queues *qa = &a->queues, *qb = &b->queues;

	if (qa->count == 0 || qb->count == 0)
		return qa->count == qb->count;
	return qa->count == qb->count && qa->expected_ratio == qb->expected_ratio &&
		strcmp(qa->steering, qb->steering) == 0 &&
		memcmp(qa->received, qb->received, qa->count * sizeof(qa->received[0])) == 0 &&
		memcmp(a->port_queue, b->port_queue, a->port_count) == 0;
}

static bool
report_equal(const struct ep_ctrl_report *a, const struct ep_ctrl_report *b)
{
	return a->trial == b->trial && a->port_count == b->port_count &&
		a->has_pacing == b->has_pacing && pacing_equal(&a->pacing, &b->pacing) &&
		icmp_equal(a->icmp, b->icmp) && nic_equal(a->nic, b->nic) && queues_equal(a, b) &&
		memcmp(&a->totals, &b->totals, sizeof(a->totals)) == 0 &&
		memcmp(a->up, b->up, a->port_count * sizeof(*a->up)) == 0 &&
		memcmp(a->down_sent, b->down_sent, a->port_count * sizeof(*a->down_sent)) == 0;
}

/** Member by member: the struct has padding. */
static bool
beat_equal(const struct ep_ctrl_beat *a, const struct ep_ctrl_beat *b)
{
	return a->trial == b->trial && a->sent == b->sent && a->received == b->received &&
		a->tx_done == b->tx_done;
}

bool
body_equal(enum ctrl_msg msg, const struct ep_ctrl_event *a, const struct ep_ctrl_event *b)
{
	switch (msg) {
	case CTRL_HELLO:
		return memcmp(&a->hello, &b->hello, sizeof(a->hello)) == 0;
	case CTRL_WELCOME:
		return memcmp(&a->welcome, &b->welcome, sizeof(a->welcome)) == 0;
	case CTRL_REFUSE:
		return memcmp(&a->refuse, &b->refuse, sizeof(a->refuse)) == 0;
	case CTRL_PREPARE:
		return memcmp(&a->prepare, &b->prepare, sizeof(a->prepare)) == 0;
	case CTRL_READY:
		return memcmp(a->nonce, b->nonce, sizeof(a->nonce)) == 0;
	case CTRL_BEAT:
		return beat_equal(&a->beat, &b->beat);
	case CTRL_REPORT:
		return report_equal(&a->report, &b->report);
	default:
		return true;
	}
}

/* --- Sessions --------------------------------------------------------------------------------- */

enum ctrl_msg
event_msg(enum ep_ctrl_event_kind kind)
{
	for (int msg = 0; msg < CTRL_MSGS; msg++) {
		if (kind == ctrl_fsm_event((enum ctrl_msg)msg))
			return (enum ctrl_msg)msg;
	}
	return CTRL_MSGS;
}

int
say_any(struct ep_ctrl *c, enum ctrl_msg msg, struct ep_ctrl_event *body, uint64_t now_ns)
{
	switch (msg) {
	case CTRL_HELLO:
		return ep_ctrl_hello(c, &body->hello);
	case CTRL_WELCOME:
		return ep_ctrl_welcome(c, &body->welcome);
	case CTRL_REFUSE:
		return ep_ctrl_refuse(c, &body->refuse);
	case CTRL_PREPARE:
		return ep_ctrl_prepare(c, &body->prepare);
	case CTRL_READY:
		return ep_ctrl_ready(c, body->nonce);
	case CTRL_START:
		return ep_ctrl_start(c);
	case CTRL_STARTED:
		return ep_ctrl_started(c, now_ns);
	case CTRL_BEAT:
		return ep_ctrl_beat(c, &body->beat);
	case CTRL_DRAIN:
		return ep_ctrl_drain(c);
	case CTRL_COLLECT:
		return ep_ctrl_collect(c);
	case CTRL_REPORT:
		return ep_ctrl_report(c, &body->report);
	default:
		return ep_ctrl_bye(c);
	}
}

void
hear_any(struct ep_ctrl *c, enum ctrl_msg msg, struct ep_ctrl_event *body, uint64_t now_ns)
{
	struct ctrl_buf frame = {0};

	assert_int_equal(ctrl_msg_encode(msg, body_of(body), &frame), 0);
	assert_int_equal(
		ep_ctrl_input(c, frame.bytes + frame.head, ctrl_buf_len(&frame), now_ns), 0);
	ctrl_buf_fini(&frame);
}

/** One message of the way, said or heard. */
static void
step(struct rng *rng, struct ep_ctrl *c, enum ctrl_msg msg, bool say, uint64_t now_ns)
{
	struct ep_ctrl_event body, event;
	const uint8_t *bytes;

	body_random(rng, msg, &body);
	if (say) {
		assert_int_equal(say_any(c, msg, &body, now_ns), 0);
		ep_ctrl_output_done(c, ep_ctrl_output(c, &bytes));
		ep_ctrl_next(c, now_ns, &event); /* silence counts from here */
		assert_int_equal(event.kind, EP_CTRL_EV_NONE);
	} else {
		hear_any(c, msg, &body, now_ns);
		ep_ctrl_next(c, now_ns, &event);
		assert_int_equal(event.kind, ctrl_fsm_event(msg));
	}
	body_free(msg, &body);
}

struct ep_ctrl *
session_at(struct rng *rng, enum ep_ctrl_role role, enum ctrl_state state, uint64_t now_ns)
{
	static const struct {
		enum ctrl_msg msg;
		enum ep_ctrl_role speaker;
	} way[] = {
		{CTRL_HELLO, EP_CTRL_INITIATOR},
		{CTRL_WELCOME, EP_CTRL_RESPONDER},
		{CTRL_PREPARE, EP_CTRL_INITIATOR},
		{CTRL_READY, EP_CTRL_RESPONDER},
		{CTRL_START, EP_CTRL_INITIATOR},
		{CTRL_STARTED, EP_CTRL_RESPONDER},
		{CTRL_DRAIN, EP_CTRL_INITIATOR},
		{CTRL_COLLECT, EP_CTRL_INITIATOR},
	};
	const size_t steps = state == CTRL_ST_OVER ? CTRL_ST_OPEN : (size_t)state;
	struct ep_ctrl *c;

	assert_int_equal(ep_ctrl_create(role, now_ns, &c), 0);
	ep_ctrl_port_count(c, UTIL_PORTS);
	for (size_t i = 0; i < steps; i++)
		step(rng, c, way[i].msg, way[i].speaker == role, now_ns);
	if (state == CTRL_ST_OVER)
		step(rng, c, CTRL_BYE, role == EP_CTRL_INITIATOR, now_ns);
	return c;
}

json_t *
util_json(enum ctrl_msg msg, struct ep_ctrl_event *body)
{
	struct ctrl_buf frame = {0};
	json_t *object;

	assert_int_equal(ctrl_msg_encode(msg, body_of(body), &frame), 0);
	object = json_loadb((const char *)frame.bytes + 4, ctrl_buf_len(&frame) - 4, 0, NULL);
	assert_non_null(object);
	ctrl_buf_fini(&frame);
	return object;
}

int
util_decode_text(const char *text, size_t len, enum ctrl_msg msg, struct ep_ctrl_event *body,
	struct ep_err *err)
{
	struct ctrl_envelope envelope;
	struct ep_ctrl_event scratch;
	struct ep_ctrl_event *into = body != NULL ? body : &scratch;
	int ret;

	memset(into, 0, sizeof(*into));
	memset(err, 0, sizeof(*err));
	ret = ctrl_msg_open((const uint8_t *)text, len, &envelope, err);
	if (ret < 0)
		return ret;
	assert_int_equal(envelope.version, EP_CTRL_VERSION);
	assert_int_equal(envelope.msg, msg);
	ret = ctrl_msg_decode(&envelope, UTIL_PORTS, body_of(into), err);
	json_decref(envelope.object);
	if (ret == 0 && body == NULL)
		body_free(msg, into);
	return ret;
}

int
util_decode(const json_t *object, enum ctrl_msg msg, struct ep_ctrl_event *body, struct ep_err *err)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
	int ret;

	assert_non_null(text);
	ret = util_decode_text(text, strlen(text), msg, body, err);
	free(text);
	return ret;
}

json_t *
util_value(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	return value;
}
