/* What the stack says and when, and what it says to what: frames as hex, built by hand. */

#include "slow_util.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OUR_MAC "020000000001"
#define PEER_MAC "020000000002"
#define OTHER_MAC "020000000003"
#define ALL "ffffffffffff"
#define OUR_IP4 "c6120001"  /* 198.18.0.1 */
#define PEER_IP4 "c6120002" /* 198.18.0.2 */
#define OUR_IP6 "20010002000000000000000000000001"
#define PEER_IP6 "20010002000000000000000000000002"
#define NOBODY6 "00000000000000000000000000000000"
#define NODES6 "ff020000000000000000000000000001"
#define GROUP6 "ff0200000000000000000001ff000001"

static struct ep_slow_cfg
cfg_usual(void)
{
	struct ep_slow_cfg cfg = {
		.mac = {2, 0, 0, 0, 0, 1},
		.addr_count = 2,
		.addr = {{.prefix_bits = 24}, {.prefix_bits = 64}},
	};

	assert_int_equal(ep_wire_ip_parse("198.18.0.1", &cfg.addr[0].ip, NULL), 0);
	assert_int_equal(ep_wire_ip_parse("2001:2::1", &cfg.addr[1].ip, NULL), 0);
	return cfg;
}

static struct ep_slow_stack *
stack(const struct ep_slow_cfg *cfg)
{
	struct ep_slow_stack *s;

	assert_int_equal(ep_slow_stack_create(cfg, 0, &s, NULL), 0);
	return s;
}

/* Everything that is due until a time; returns how many frames. */
static int
poll_until(struct ep_slow_stack *s, uint64_t end_ns)
{
	uint8_t out[EP_SLOW_FRAME_MAX];
	int frames = 0;

	while (ep_slow_stack_due_ns(s) <= end_ns)
		frames += ep_slow_stack_poll(s, ep_slow_stack_due_ns(s), out) > 0;
	return frames;
}

/* A stack whose addresses are its own and announced. */
static struct ep_slow_stack *
stack_ready(void)
{
	const struct ep_slow_cfg cfg = cfg_usual();
	struct ep_slow_stack *s = stack(&cfg);

	poll_until(s, 10 * EP_NS_PER_S);
	assert_int_equal(ep_slow_stack_addr(s, 0, NULL), EP_SLOW_ADDR_OURS);
	assert_int_equal(ep_slow_stack_addr(s, 1, NULL), EP_SLOW_ADDR_OURS);
	return s;
}

/* --- Frames --- */

static uint8_t
nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct util_packet
of_hex(const char *hex)
{
	struct util_packet p = {0};

	for (; hex[0] != '\0'; hex += 2)
		p.bytes[p.len++] = (uint8_t)(nibble(hex[0]) << 4 | nibble(hex[1]));
	return p;
}

static const char *
to_hex(const uint8_t *bytes, size_t len)
{
	static char hex[2 * EP_SLOW_FRAME_MAX + 1];

	hex[0] = '\0';
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	return hex;
}

/* Put the right checksums into the IP packet that begins at an offset. */
static struct util_packet
summed(const char *hex, size_t at)
{
	struct util_packet frame = of_hex(hex), ip = {0};

	ip.len = frame.len - at;
	memcpy(ip.bytes, frame.bytes + at, ip.len);
	util_icmp_checksum(&ip);
	memcpy(frame.bytes + at, ip.bytes, ip.len);
	return frame;
}

/* What is said to a frame, as hex; "" for nothing. */
static const char *
said_to(struct ep_slow_stack *s, const struct util_packet *frame, uint64_t now_ns)
{
	uint8_t *const copy = malloc(frame->len);
	uint8_t out[EP_SLOW_FRAME_MAX];
	size_t len;

	assert_non_null(copy);
	memcpy(copy, frame->bytes, frame->len);
	len = ep_slow_stack_input(s, copy, frame->len, now_ns, out);
	free(copy);
	return to_hex(out, len);
}

static const char *
polled(struct ep_slow_stack *s, uint64_t now_ns)
{
	uint8_t out[EP_SLOW_FRAME_MAX];

	return to_hex(out, ep_slow_stack_poll(s, now_ns, out));
}

#define ARP(dst, src, operation, sender_mac, sender, target_mac, target) \
	dst src "0806"                                                   \
		"000108000604" operation sender_mac sender target_mac target
/* ICMPv6 without its checksum: the tests put it in. */
#define IP6(dst, src, len, hops, from, to) \
	dst src "86dd"                     \
		"60000000" len "3a" hops from to
#define SOLICIT(dst, src, from, to, target) \
	IP6(dst, src, "0018", "ff", from, to) "8700000000000000" target
#define SOLICIT_MAC(dst, src, from, to, target, mac) \
	IP6(dst, src, "0020", "ff", from, to) "8700000000000000" target "0101" mac
#define ADVERTISE(dst, src, from, to, flags, target, mac) \
	IP6(dst, src, "0020", "ff", from, to) "88000000" flags "000000" target "0201" mac

/* --- Start --- */

static void
addresses_are_probed_for_and_then_announced_at_the_times_of_the_rfcs(void **state)
{
	static const struct {
		uint64_t at_s;
		const char *frame;
		size_t ip_at;
	} row[] = {
		{0, ARP(ALL, OUR_MAC, "0001", OUR_MAC, "00000000", "000000000000", OUR_IP4), 0},
		{0, SOLICIT("3333ff000001", OUR_MAC, NOBODY6, GROUP6, OUR_IP6), 14},
		{1, ARP(ALL, OUR_MAC, "0001", OUR_MAC, "00000000", "000000000000", OUR_IP4), 0},
		{1, ADVERTISE("333300000001", OUR_MAC, OUR_IP6, NODES6, "20", OUR_IP6, OUR_MAC),
			14},
		{2, ARP(ALL, OUR_MAC, "0001", OUR_MAC, "00000000", "000000000000", OUR_IP4), 0},
		{3, ARP(ALL, OUR_MAC, "0001", OUR_MAC, OUR_IP4, "000000000000", OUR_IP4), 0},
		{3, ADVERTISE("333300000001", OUR_MAC, OUR_IP6, NODES6, "20", OUR_IP6, OUR_MAC),
			14},
		{5, ARP(ALL, OUR_MAC, "0001", OUR_MAC, OUR_IP4, "000000000000", OUR_IP4), 0},
	};
	const struct ep_slow_cfg cfg = cfg_usual();
	struct ep_slow_stack *s = stack(&cfg);

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct util_packet want = row[i].ip_at > 0 ? summed(row[i].frame, row[i].ip_at)
							   : of_hex(row[i].frame);
		const uint64_t due_ns = ep_slow_stack_due_ns(s);
		char wanted[512];

		assert_int_equal(due_ns, row[i].at_s * EP_NS_PER_S);
		snprintf(wanted, sizeof(wanted), "%s", to_hex(want.bytes, want.len));
		assert_string_equal(polled(s, due_ns), wanted);
	}
	assert_true(ep_slow_stack_due_ns(s) == UINT64_MAX);
	assert_string_equal(polled(s, UINT64_C(1) << 60), "");
	ep_slow_stack_destroy(s);
}

static void
an_address_that_another_host_has_is_not_used(void **state)
{
	static const struct {
		uint32_t index;
		const char *frame;
		size_t ip_at;
		enum ep_slow_addr_state want;
	} row[] = {
		/* Its owner answers the probe, announces it, asks from it; another probes for it. */
		{0, ARP(OUR_MAC, OTHER_MAC, "0002", OTHER_MAC, OUR_IP4, OUR_MAC, "00000000"), 0,
			EP_SLOW_ADDR_TAKEN},
		{0, ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, OUR_IP4, "000000000000", OUR_IP4), 0,
			EP_SLOW_ADDR_TAKEN},
		{0, ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, OUR_IP4, "000000000000", PEER_IP4), 0,
			EP_SLOW_ADDR_TAKEN},
		{0, ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, "00000000", "000000000000", OUR_IP4), 0,
			EP_SLOW_ADDR_TAKEN},
		/* Our own probe come back, a probe for another address, a question about ours. */
		{0, ARP(ALL, OUR_MAC, "0001", OUR_MAC, "00000000", "000000000000", OUR_IP4), 0,
			EP_SLOW_ADDR_OURS},
		{0, ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, "00000000", "000000000000", PEER_IP4), 0,
			EP_SLOW_ADDR_OURS},
		{0, ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, PEER_IP4, "000000000000", OUR_IP4), 0,
			EP_SLOW_ADDR_OURS},
		{1, ADVERTISE("333300000001", OTHER_MAC, OUR_IP6, NODES6, "20", OUR_IP6, OTHER_MAC),
			14, EP_SLOW_ADDR_TAKEN},
		{1, SOLICIT("3333ff000001", OTHER_MAC, NOBODY6, GROUP6, OUR_IP6), 14,
			EP_SLOW_ADDR_TAKEN},
		{1, SOLICIT("3333ff000001", OUR_MAC, NOBODY6, GROUP6, OUR_IP6), 14,
			EP_SLOW_ADDR_OURS},
		{1, SOLICIT_MAC("3333ff000001", OTHER_MAC, PEER_IP6, GROUP6, OUR_IP6, OTHER_MAC),
			14, EP_SLOW_ADDR_OURS},
		{1,
			ADVERTISE("333300000001", OTHER_MAC, PEER_IP6, NODES6, "20", PEER_IP6,
				OTHER_MAC),
			14, EP_SLOW_ADDR_OURS},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		const struct util_packet frame = row[i].ip_at > 0
			? summed(row[i].frame, row[i].ip_at)
			: of_hex(row[i].frame);
		const struct ep_slow_cfg cfg = cfg_usual();
		struct ep_slow_stack *s = stack(&cfg);
		uint8_t mac[6];

		print_message("# row %zu\n", i);
		poll_until(s, 0);
		assert_string_equal(said_to(s, &frame, EP_NS_PER_S / 2), "");
		poll_until(s, 10 * EP_NS_PER_S);
		assert_int_equal(ep_slow_stack_addr(s, row[i].index, mac), row[i].want);
		assert_int_equal(mac[5], row[i].want == EP_SLOW_ADDR_TAKEN ? 3 : 0);
		assert_int_equal(ep_slow_stack_addr(s, 1 - row[i].index, NULL), EP_SLOW_ADDR_OURS);
		if (row[i].want == EP_SLOW_ADDR_TAKEN)
			assert_string_equal(said_to(s, &frame, 11 * EP_NS_PER_S), "");
		ep_slow_stack_destroy(s);
	}
}

static void
an_address_that_is_ours_is_defended_but_not_more_often_than_every_ten_seconds(void **state)
{
	const struct util_packet arp =
		of_hex(ARP(ALL, OTHER_MAC, "0001", OTHER_MAC, OUR_IP4, "000000000000", OUR_IP4));
	struct ep_slow_stack *s = stack_ready();
	struct ep_slow_count count;
	int defences = 0;

	(void)state;
	for (int i = 0; i < 300; i++) { /* 30 s */
		const uint64_t now_ns = 20 * EP_NS_PER_S + (uint64_t)i * 100 * EP_NS_PER_MS;

		assert_string_equal(said_to(s, &arp, now_ns), "");
		defences += poll_until(s, now_ns);
	}
	assert_int_equal(defences, 3);
	ep_slow_stack_count(s, &count);
	assert_int_equal(count.conflicts, 300);
	assert_int_equal(ep_slow_stack_addr(s, 0, NULL), EP_SLOW_ADDR_OURS);
	ep_slow_stack_destroy(s);
}

/* --- Answers --- */

static const struct answer {
	const char *what;
	const char *frame;
	size_t ip_at; /* 0: no checksum to put in */
	const char *want;
	size_t want_ip_at;
} answers[] = {
	{"an ARP request", ARP(ALL, PEER_MAC, "0001", PEER_MAC, PEER_IP4, "000000000000", OUR_IP4),
		0, ARP(PEER_MAC, OUR_MAC, "0002", OUR_MAC, OUR_IP4, PEER_MAC, PEER_IP4), 0},
	{"... with padding",
		ARP(OUR_MAC, PEER_MAC, "0001", PEER_MAC, PEER_IP4, "000000000000",
			OUR_IP4) "00000000",
		0, ARP(PEER_MAC, OUR_MAC, "0002", OUR_MAC, OUR_IP4, PEER_MAC, PEER_IP4), 0},
	{"an ARP probe", ARP(ALL, PEER_MAC, "0001", PEER_MAC, "00000000", "000000000000", OUR_IP4),
		0, ARP(PEER_MAC, OUR_MAC, "0002", OUR_MAC, OUR_IP4, PEER_MAC, "00000000"), 0},
	{"an ARP request for another",
		ARP(ALL, PEER_MAC, "0001", PEER_MAC, PEER_IP4, "000000000000", "c6120009"), 0, "",
		0},
	{"an ARP request to another's MAC",
		ARP(OTHER_MAC, PEER_MAC, "0001", PEER_MAC, PEER_IP4, "000000000000", OUR_IP4), 0,
		"", 0},
	{"an ARP request from a group's MAC",
		ARP(ALL, PEER_MAC, "0001", ALL, PEER_IP4, "000000000000", OUR_IP4), 0, "", 0},
	{"an ARP request with a tag of priority",
		ALL PEER_MAC "8100e000"
			     "0806"
			     "0001080006040001" PEER_MAC PEER_IP4 "000000000000" OUR_IP4,
		0, ARP(PEER_MAC, OUR_MAC, "0002", OUR_MAC, OUR_IP4, PEER_MAC, PEER_IP4), 0},
	{"an ARP request of another VLAN",
		ALL PEER_MAC "8100000a"
			     "0806"
			     "0001080006040001" PEER_MAC PEER_IP4 "000000000000" OUR_IP4,
		0, "", 0},
	{"half an ARP request",
		ALL PEER_MAC "0806"
			     "0001080006040001" PEER_MAC,
		0, "", 0},

	{"a solicitation",
		SOLICIT_MAC("3333ff000001", PEER_MAC, PEER_IP6, GROUP6, OUR_IP6, PEER_MAC), 14,
		ADVERTISE(PEER_MAC, OUR_MAC, OUR_IP6, PEER_IP6, "60", OUR_IP6, OUR_MAC), 14},
	{"... without the MAC", SOLICIT(OUR_MAC, PEER_MAC, PEER_IP6, OUR_IP6, OUR_IP6), 14,
		ADVERTISE(PEER_MAC, OUR_MAC, OUR_IP6, PEER_IP6, "60", OUR_IP6, OUR_MAC), 14},
	{"one that probes for our address",
		SOLICIT("3333ff000001", PEER_MAC, NOBODY6, GROUP6, OUR_IP6), 14,
		ADVERTISE("333300000001", OUR_MAC, OUR_IP6, NODES6, "20", OUR_IP6, OUR_MAC), 14},
	{"one that probes with a MAC",
		SOLICIT_MAC("3333ff000001", PEER_MAC, NOBODY6, GROUP6, OUR_IP6, PEER_MAC), 14, "",
		0},
	{"one that probes at our address", SOLICIT(OUR_MAC, PEER_MAC, NOBODY6, OUR_IP6, OUR_IP6),
		14, "", 0},
	{"one that came through a router",
		IP6("3333ff000001", PEER_MAC, "0018", "fe", PEER_IP6,
			GROUP6) "8700000000000000" OUR_IP6,
		14, "", 0},
	{"one with a code",
		IP6("3333ff000001", PEER_MAC, "0018", "ff", PEER_IP6,
			GROUP6) "8701000000000000" OUR_IP6,
		14, "", 0},
	{"one with an option of no length",
		IP6("3333ff000001", PEER_MAC, "0020", "ff", PEER_IP6,
			GROUP6) "8700000000000000" OUR_IP6 "0100" PEER_MAC,
		14, "", 0},
	{"one with an option that is too long",
		IP6("3333ff000001", PEER_MAC, "0020", "ff", PEER_IP6,
			GROUP6) "8700000000000000" OUR_IP6 "0102" PEER_MAC,
		14, "", 0},
	{"one with a wrong checksum",
		SOLICIT_MAC("3333ff000001", PEER_MAC, PEER_IP6, GROUP6, OUR_IP6, PEER_MAC), 0, "",
		0},
	{"one for another", SOLICIT("3333ff000009", PEER_MAC, PEER_IP6, GROUP6, PEER_IP6), 14, "",
		0},

	{"a ping",
		OUR_MAC PEER_MAC "0800"
				 "4500001f1234000040010000" PEER_IP4 OUR_IP4
				 "08000000beef0001616263",
		14,
		PEER_MAC OUR_MAC "0800"
				 "4500001f00004000400100 00" OUR_IP4 PEER_IP4
				 "00000000beef0001616263",
		14},
	{"a ping with options",
		OUR_MAC PEER_MAC "0800"
				 "4600002312340000400100 00" PEER_IP4 OUR_IP4 "01010100"
				 "08000000beef0001616263",
		14,
		PEER_MAC OUR_MAC "0800"
				 "4500001f00004000400100 00" OUR_IP4 PEER_IP4
				 "00000000beef0001616263",
		14},
	{"a ping to the broadcast address",
		ALL PEER_MAC "0800"
			     "4500001f12340000400100 00" PEER_IP4 "c61200ff"
			     "08000000beef0001616263",
		14, "", 0},
	{"a ping to our address by the broadcast MAC",
		ALL PEER_MAC "0800"
			     "4500001f12340000400100 00" PEER_IP4 OUR_IP4 "08000000beef0001616263",
		14, "", 0},
	{"a ping from a group",
		OUR_MAC PEER_MAC "0800"
				 "4500001f12340000400100 00"
				 "e0000001" OUR_IP4 "08000000beef0001616263",
		14, "", 0},
	{"a ping from ourselves",
		OUR_MAC PEER_MAC "0800"
				 "4500001f12340000400100 00" OUR_IP4 OUR_IP4
				 "08000000beef0001616263",
		14, "", 0},
	{"a fragment of a ping",
		OUR_MAC PEER_MAC "0800"
				 "4500001f12342000400100 00" PEER_IP4 OUR_IP4
				 "08000000beef0001616263",
		14, "", 0},
	{"a ping with a wrong checksum",
		OUR_MAC PEER_MAC "0800"
				 "4500001f12340000400100 00" PEER_IP4 OUR_IP4
				 "08000000beef0001616263",
		0, "", 0},
	{"an answer to a ping",
		OUR_MAC PEER_MAC "0800"
				 "4500001f12340000400100 00" PEER_IP4 OUR_IP4
				 "00000000beef0001616263",
		14, "", 0},
	{"a ping of IPv6",
		IP6(OUR_MAC, PEER_MAC, "000b", "40", PEER_IP6, OUR_IP6) "80000000beef0001616263",
		14,
		IP6(PEER_MAC, OUR_MAC, "000b", "40", OUR_IP6, PEER_IP6) "81000000beef0001616263",
		14},
	{"... to all nodes",
		IP6("333300000001", PEER_MAC, "000b", "40", PEER_IP6,
			NODES6) "80000000beef0001616263",
		14, "", 0},
	{"... from nobody",
		IP6(OUR_MAC, PEER_MAC, "000b", "40", NOBODY6, OUR_IP6) "80000000beef0001616263", 14,
		"", 0},
	{"... with a header of options",
		OUR_MAC PEER_MAC "86dd"
				 "6000000000133c40" PEER_IP6 OUR_IP6 "3a00010400000000"
				 "80000000beef0001616263",
		14,
		IP6(PEER_MAC, OUR_MAC, "000b", "40", OUR_IP6, PEER_IP6) "81000000beef0001616263",
		14},
	{"a TCP SYN",
		OUR_MAC PEER_MAC "0800"
				 "4500002812340000400600 00" PEER_IP4 OUR_IP4
				 "c0000050000000010000000050020400000000 00",
		14, "", 0},
	{"a frame of no length", OUR_MAC PEER_MAC, 0, "", 0},
};

/* The spaces in the table are for the reader. */
static const char *
packed(const char *text)
{
	static char out[1024];
	size_t len = 0;

	for (; *text != '\0'; text++)
		if (*text != ' ')
			out[len++] = *text;
	out[len] = '\0';
	return out;
}

static struct util_packet
row_frame(const char *hex, size_t ip_at)
{
	return ip_at > 0 ? summed(packed(hex), ip_at) : of_hex(packed(hex));
}

static void
each_frame_gets_its_answer_or_none(void **state)
{
	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(answers); i++) {
		const struct answer *a = &answers[i];
		const struct util_packet frame = row_frame(a->frame, a->ip_at);
		const struct util_packet want = row_frame(a->want, a->want_ip_at);
		struct ep_slow_stack *s = stack_ready();
		char wanted[512];

		print_message("# %s\n", a->what);
		snprintf(wanted, sizeof(wanted), "%s", to_hex(want.bytes, want.len));
		assert_string_equal(said_to(s, &frame, 20 * EP_NS_PER_S), wanted);
		ep_slow_stack_destroy(s);
	}
}

static void
nobody_is_answered_before_the_address_is_ours(void **state)
{
	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(answers); i++) {
		const struct util_packet frame = row_frame(answers[i].frame, answers[i].ip_at);
		const struct ep_slow_cfg cfg = cfg_usual();
		struct ep_slow_stack *s = stack(&cfg);

		assert_string_equal(said_to(s, &frame, 0), "");
		ep_slow_stack_destroy(s);
	}
}

static void
with_a_vlan_every_frame_has_its_tag_and_others_are_not_heard(void **state)
{
	const char *const asked = "0806"
				  "0001080006040001" PEER_MAC PEER_IP4 "000000000000" OUR_IP4;
	struct ep_slow_cfg cfg = cfg_usual();
	struct ep_slow_stack *s;
	struct util_packet frame;
	size_t ip_bytes;
	char hex[256];

	(void)state;
	cfg.vlan = 100;
	s = stack(&cfg);
	assert_memory_equal(polled(s, 0) + 24,
		"81000064"
		"0806",
		12);
	poll_until(s, 10 * EP_NS_PER_S);
	snprintf(hex, sizeof(hex), "%s%s%s", ALL PEER_MAC, "8100e064", asked);
	frame = of_hex(hex);
	assert_string_equal(said_to(s, &frame, 20 * EP_NS_PER_S),
		PEER_MAC OUR_MAC "81000064"
				 "0806"
				 "0001080006040002" OUR_MAC OUR_IP4 PEER_MAC PEER_IP4);
	snprintf(hex, sizeof(hex), "%s%s", ALL PEER_MAC, asked);
	frame = of_hex(hex);
	assert_string_equal(said_to(s, &frame, 20 * EP_NS_PER_S), "");
	snprintf(hex, sizeof(hex), "%s%s%s", ALL PEER_MAC,
		"81000064"
		"81000064",
		asked);
	frame = of_hex(hex);
	assert_string_equal(said_to(s, &frame, 20 * EP_NS_PER_S), "");
	/* The packet in a frame, as errors that quote probes come: of the VLAN alone. */
	frame = of_hex(OUR_MAC PEER_MAC "81000064"
					"0800"
					"4500");
	assert_ptr_equal(ep_slow_stack_ip(s, frame.bytes, frame.len, &ip_bytes), frame.bytes + 18);
	assert_int_equal(ip_bytes, 2);
	frame = of_hex(OUR_MAC PEER_MAC "81000065"
					"0800"
					"4500");
	assert_null(ep_slow_stack_ip(s, frame.bytes, frame.len, &ip_bytes));
	frame = of_hex(OUR_MAC PEER_MAC "0800"
					"4500");
	assert_null(ep_slow_stack_ip(s, frame.bytes, frame.len, &ip_bytes));
	ep_slow_stack_destroy(s);
}

/* A flood of pings must not keep ARP from being answered, and the other way round. */
static void
answers_are_limited_each_kind_by_itself(void **state)
{
	const struct util_packet ping = row_frame(answers[20].frame, 14);
	const struct util_packet arp = row_frame(answers[0].frame, 0);
	struct ep_slow_stack *s = stack_ready();
	struct ep_slow_count count;
	int answered = 0;

	(void)state;
	assert_string_equal(answers[20].what, "a ping");
	for (int i = 0; i < 100000; i++) /* 10 s at 10 kpps */
		answered +=
			said_to(s, &ping,
				20 * EP_NS_PER_S + (uint64_t)i * 100 * UINT64_C(1000))[0] != '\0';
	assert_in_range(answered, 10000, 10000 + 40);
	assert_string_not_equal(said_to(s, &arp, 30 * EP_NS_PER_S), "");
	ep_slow_stack_count(s, &count);
	assert_int_equal(count.limited, 100000 - answered);
	assert_int_equal(count.answered, answered + 1);
	ep_slow_stack_destroy(s);
}

static void
a_ping_as_long_as_a_frame_is_answered_and_a_longer_one_is_not(void **state)
{
	struct ep_slow_stack *s = stack_ready();

	(void)state;
	for (size_t len = EP_SLOW_FRAME_MAX; len <= EP_SLOW_FRAME_MAX + 1; len++) {
		struct util_packet frame = row_frame(answers[20].frame, 0), ip = {0};

		memset(frame.bytes + frame.len, 0x55, len - frame.len);
		frame.len = len;
		frame.bytes[16] = (uint8_t)((len - 14) >> 8);
		frame.bytes[17] = (uint8_t)(len - 14);
		ip.len = len - 14;
		memcpy(ip.bytes, frame.bytes + 14, ip.len);
		util_icmp_checksum(&ip);
		memcpy(frame.bytes + 14, ip.bytes, ip.len);
		assert_int_equal(strlen(said_to(s, &frame, 20 * EP_NS_PER_S)),
			len == EP_SLOW_FRAME_MAX ? 2 * len : 0);
	}
	ep_slow_stack_destroy(s);
}

static void
the_ip_packet_for_us_is_found_in_a_frame(void **state)
{
	const struct util_packet ping = row_frame(answers[20].frame, 14);
	const struct util_packet arp = row_frame(answers[0].frame, 0);
	struct ep_slow_stack *s = stack_ready();
	struct util_packet other = ping;
	size_t len = 0;

	(void)state;
	assert_ptr_equal(ep_slow_stack_ip(s, ping.bytes, ping.len, &len), ping.bytes + 14);
	assert_int_equal(len, ping.len - 14);
	other.bytes[5] ^= 8;
	assert_null(ep_slow_stack_ip(s, other.bytes, other.len, &len));
	assert_null(ep_slow_stack_ip(s, arp.bytes, arp.len, &len));
	assert_null(ep_slow_stack_ip(s, ping.bytes, 13, &len));
	ep_slow_stack_destroy(s);
}

static void
what_no_host_can_have_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *addr;
		uint8_t prefix_bits;
		const char *gateway;
		uint16_t vlan;
		uint8_t mac;
		const char *want;
	} row[] = {
		{"224.0.0.1", 24, NULL, 0, 2, "224.0.0.1: is not the address of a host"},
		{"ff02::1", 64, NULL, 0, 2, "ff02::1: is not the address of a host"},
		{"198.18.0.1", 33, NULL, 0, 2, "198.18.0.1/33: a prefix has 1 to 32 bits"},
		{"2001:2::1", 0, NULL, 0, 2, "2001:2::1/0: a prefix has 1 to 128 bits"},
		{"198.18.0.1", 24, "198.18.1.9", 0, 2,
			"gateway 198.18.1.9: is not on the link of any of our addresses"},
		{"198.18.0.1", 24, "198.18.0.1", 0, 2,
			"gateway 198.18.0.1: is not the address of another host of its family"},
		{"198.18.0.1", 24, NULL, 4095, 2, "VLAN 4095: allowed are 1 to 4094"},
		{"198.18.0.1", 24, NULL, 0, 3,
			"03:00:00:00:00:00: is not the MAC address of a host"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(row); i++) {
		struct ep_slow_cfg cfg = {.mac = {row[i].mac},
			.vlan = row[i].vlan,
			.addr_count = 1,
			.addr = {{.prefix_bits = row[i].prefix_bits}}};
		struct ep_slow_stack *s;
		struct ep_err err;

		assert_int_equal(ep_wire_ip_parse(row[i].addr, &cfg.addr[0].ip, NULL), 0);
		if (row[i].gateway != NULL)
			assert_int_equal(
				ep_wire_ip_parse(row[i].gateway, &cfg.gateway_ipv4, NULL), 0);
		assert_int_equal(ep_slow_stack_create(&cfg, 0, &s, &err), -EINVAL);
		assert_string_equal(err.text, row[i].want);
	}
	ep_slow_stack_destroy(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			addresses_are_probed_for_and_then_announced_at_the_times_of_the_rfcs),
		cmocka_unit_test(an_address_that_another_host_has_is_not_used),
		cmocka_unit_test(
			an_address_that_is_ours_is_defended_but_not_more_often_than_every_ten_seconds),
		cmocka_unit_test(each_frame_gets_its_answer_or_none),
		cmocka_unit_test(nobody_is_answered_before_the_address_is_ours),
		cmocka_unit_test(with_a_vlan_every_frame_has_its_tag_and_others_are_not_heard),
		cmocka_unit_test(answers_are_limited_each_kind_by_itself),
		cmocka_unit_test(a_ping_as_long_as_a_frame_is_answered_and_a_longer_one_is_not),
		cmocka_unit_test(the_ip_packet_for_us_is_found_in_a_frame),
		cmocka_unit_test(what_no_host_can_have_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
