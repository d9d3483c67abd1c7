/* Needs root: everything happens on the loopback interface of a network namespace of this process. */
#include "../netlink/netns.h"

#include <ep_netlink.h>
#include <ep_tcpcheck.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#define OWN "198.18.0.1"
#define OWN6 "2001:2::1"
#define START_NS UINT64_C(5000000000) /* the caller's clock need not begin at 0 */
#define ANSWER_MS 2500                /* far longer than loopback needs */
#define ANSWER_NS UINT64_C(1234567)
#define TIMEOUT_NS (4 * EP_NS_PER_S)

enum port {
	PORT_OPEN = 7881,
	PORT_SHUT = 7882,
	PORT_DROP = 7883,
	PORT_RESET = 7884,
	PORT_ICMP_PORT = 7885,
	PORT_ICMP_ADMIN = 7886,
};

static int
listen_on(uint16_t port)
{
	struct sockaddr_storage sa;
	const uint32_t len = ep_netlink_sockaddr_set(&sa, NULL, port);
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0 || listen(fd, 16) < 0)
		netns_die("listen");
	return fd;
}

static int
setup(void **state)
{
	static int listener;
	static const char rule[] = "nft add rule inet t in tcp dport";
	static const struct {
		uint16_t port;
		const char *verdict;
	} rules[] = {
		{PORT_DROP, "drop"},
		{PORT_RESET, "reject with tcp reset"},
		{PORT_ICMP_PORT, "reject with icmpx type port-unreachable"},
		{PORT_ICMP_ADMIN, "reject with icmpx type admin-prohibited"},
	};
	char command[128];

	close(netns_enter_new());
	netns_run("ip addr add " OWN "/32 dev lo");
	netns_run("ip addr add " OWN6 "/128 dev lo nodad");
	netns_run("ip route add unreachable 198.19.2.0/24");
	netns_run("ip route add blackhole 198.19.3.0/24");
	netns_run("ip route add prohibit 198.19.4.0/24");
	netns_run("ip -6 route add unreachable 2001:2:2::/48");
	netns_run("nft add table inet t");
	netns_run("nft add chain inet t in { type filter hook input priority 0 ; }");
	for (size_t i = 0; i < EP_ARRAY_LEN(rules); i++) {
		snprintf(command, sizeof(command), "%s %u %s", rule, rules[i].port,
			rules[i].verdict);
		netns_run(command);
	}
	listener = listen_on(PORT_OPEN);
	*state = &listener;
	return 0;
}

static struct ep_wire_ip
ip_of(const char *text)
{
	struct ep_wire_ip ip;

	if (ep_wire_ip_parse(text, &ip, NULL) < 0)
		fail_msg("bad address in the test: %s", text);
	return ip;
}

static struct ep_tcpcheck *
start(const char *peer, const uint16_t *ports, uint32_t count)
{
	struct ep_tcpcheck_cfg cfg = {.peer = ip_of(peer), .timeout_ns = TIMEOUT_NS};
	struct ep_tcpcheck *c;

	for (uint32_t i = 0; i < count; i++) {
		const struct ep_tcpcheck_target target = {
			EP_TCPCHECK_TCP, ports[i], EP_TCPCHECK_CONNECT, true};

		assert_int_equal(ep_tcpcheck_targets_add(&cfg.targets, &target), 0);
	}
	assert_int_equal(ep_tcpcheck_create(&cfg, &c, NULL), 0);
	ep_tcpcheck_round_start(c, START_NS);
	return c;
}

/* Let the kernel answer; the library is not asked meanwhile. */
static void
wait_for_answer(const struct ep_tcpcheck *c)
{
	struct pollfd p = {.fd = ep_tcpcheck_fd(c), .events = POLLIN};

	assert_int_equal(poll(&p, 1, ANSWER_MS), 1);
}

static struct ep_tcpcheck_row
row_of(struct ep_tcpcheck *c, uint16_t port)
{
	uint32_t count;
	const struct ep_tcpcheck_row *row = ep_tcpcheck_rows(c, &count);

	for (uint32_t i = 0; i < count; i++)
		if (row[i].port == port)
			return row[i];
	fail_msg("no row of port %u", port);
	return (struct ep_tcpcheck_row){0};
}

static void
check_tells_what_became_of_a_connect(void **state)
{
	static const struct {
		const char *peer;
		uint16_t port;
		enum ep_tcpcheck_status status;
		int error;
		uint8_t icmp_type, icmp_code; /* 0: none. */
	} cases[] = {
		{"127.0.0.1", PORT_OPEN, EP_TCPCHECK_OPEN, 0, 0, 0},
		{OWN, PORT_OPEN, EP_TCPCHECK_OPEN, 0, 0, 0},
		{OWN6, PORT_OPEN, EP_TCPCHECK_OPEN, 0, 0, 0},
		{OWN, PORT_SHUT, EP_TCPCHECK_REFUSED, ECONNREFUSED, 0, 0},
		{OWN6, PORT_SHUT, EP_TCPCHECK_REFUSED, ECONNREFUSED, 0, 0},
		{OWN, PORT_RESET, EP_TCPCHECK_REFUSED, ECONNREFUSED, 0, 0},
		{OWN6, PORT_RESET, EP_TCPCHECK_REFUSED, ECONNREFUSED, 0, 0},
		{OWN, PORT_ICMP_PORT, EP_TCPCHECK_UNREACHABLE, ECONNREFUSED, 3, 3},
		{OWN6, PORT_ICMP_PORT, EP_TCPCHECK_UNREACHABLE, ECONNREFUSED, 1, 4},
		{OWN, PORT_ICMP_ADMIN, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, 3, 13},
		{OWN6, PORT_ICMP_ADMIN, EP_TCPCHECK_UNREACHABLE, EACCES, 1, 1},
		{"198.19.2.1", 443, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, 0, 0},
		{"2001:2:2::1", 443, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, 0, 0},
		{"198.19.3.1", 443, EP_TCPCHECK_UNREACHABLE, EINVAL, 0, 0},
		{"198.19.4.1", 443, EP_TCPCHECK_UNREACHABLE, EACCES, 0, 0},
		{"198.51.100.1", 443, EP_TCPCHECK_UNREACHABLE, ENETUNREACH, 0, 0},
		{"2001:db8::1", 443, EP_TCPCHECK_UNREACHABLE, ENETUNREACH, 0, 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		struct ep_tcpcheck *c = start(cases[i].peer, &cases[i].port, 1);
		struct ep_tcpcheck_row row;

		if (!ep_tcpcheck_round_done(c)) {
			wait_for_answer(c);
			ep_tcpcheck_poll(c, START_NS + ANSWER_NS);
			/* An open one is looked at a moment longer. */
			ep_tcpcheck_poll(c, START_NS + ANSWER_NS + EP_NS_PER_S);
		}
		assert_true(ep_tcpcheck_round_done(c));
		row = row_of(c, cases[i].port);
		if (row.status != cases[i].status || row.error != cases[i].error ||
			row.has_icmp != (cases[i].icmp_type > 0) ||
			row.icmp_type != cases[i].icmp_type || row.icmp_code != cases[i].icmp_code)
			fail_msg("%s port %u: %s, errno %d, ICMP %u/%u", cases[i].peer,
				cases[i].port, ep_tcpcheck_status_name(row.status), row.error,
				row.icmp_type, row.icmp_code);
		/* A time where something answered, and none where this host has no way. */
		assert_int_equal(row.connect_ns,
			cases[i].icmp_type > 0 || row.status == EP_TCPCHECK_REFUSED ||
					row.status == EP_TCPCHECK_OPEN
				? ANSWER_NS
				: 0);
		ep_tcpcheck_destroy(c);
	}
}

static void
check_is_filtered_exactly_when_its_time_is_over(void **state)
{
	const uint16_t port = PORT_DROP;
	struct ep_tcpcheck *c = start(OWN, &port, 1);
	struct ep_tcpcheck_row row;

	(void)state;
	assert_int_equal(ep_tcpcheck_next_ns(c), START_NS + TIMEOUT_NS);
	ep_tcpcheck_poll(c, START_NS + TIMEOUT_NS - 1);
	assert_false(ep_tcpcheck_round_done(c));
	ep_tcpcheck_poll(c, START_NS + TIMEOUT_NS);
	assert_true(ep_tcpcheck_round_done(c));
	row = row_of(c, port);
	assert_int_equal(row.status, EP_TCPCHECK_FILTERED);
	assert_int_equal(row.connect_ns, 0);
	assert_true(row.tries >= 1);
	assert_int_equal(ep_tcpcheck_next_ns(c), UINT64_MAX);
	ep_tcpcheck_destroy(c);
}

static void
lost_syn_is_repeated_and_counted(void **state)
{
	const uint16_t port = PORT_DROP;
	struct ep_tcpcheck *c = start(OWN, &port, 1);
	struct pollfd p = {.fd = ep_tcpcheck_fd(c), .events = POLLIN};
	struct ep_tcpcheck_row row;

	(void)state;
	/* The second SYN leaves after 1 s of the kernel's own time: the one wait of these tests. */
	netns_run("nft flush chain inet t in");
	assert_int_equal(poll(&p, 1, ANSWER_MS), 1);
	ep_tcpcheck_poll(c, START_NS + EP_NS_PER_S);
	ep_tcpcheck_poll(c, START_NS + 2 * EP_NS_PER_S);
	row = row_of(c, port);
	assert_int_equal(row.tries, 2);
	ep_tcpcheck_destroy(c);
}

static void
answer_counts_even_when_it_is_seen_late(void **state)
{
	const uint16_t port = PORT_SHUT;
	struct ep_tcpcheck *c = start(OWN, &port, 1);

	(void)state;
	ep_tcpcheck_poll(c, START_NS + TIMEOUT_NS + 1);
	assert_int_equal(row_of(c, port).status, EP_TCPCHECK_REFUSED);
	ep_tcpcheck_destroy(c);
}

static void
round_keeps_each_port_apart(void **state)
{
	static const uint16_t ports[] = {PORT_DROP, PORT_OPEN, PORT_SHUT};
	struct ep_tcpcheck *c = start(OWN, ports, EP_ARRAY_LEN(ports));

	(void)state;
	wait_for_answer(c);
	ep_tcpcheck_poll(c, START_NS + 10);
	ep_tcpcheck_poll(c, START_NS + EP_NS_PER_S);
	assert_false(ep_tcpcheck_round_done(c));
	assert_int_equal(row_of(c, PORT_OPEN).status, EP_TCPCHECK_OPEN);
	assert_int_equal(row_of(c, PORT_SHUT).status, EP_TCPCHECK_REFUSED);
	ep_tcpcheck_poll(c, START_NS + TIMEOUT_NS);
	assert_true(ep_tcpcheck_round_done(c));
	assert_int_equal(row_of(c, PORT_DROP).status, EP_TCPCHECK_FILTERED);
	assert_int_equal(row_of(c, PORT_OPEN).connect_ns, 10); /* done means done */
	ep_tcpcheck_destroy(c);
}

static void
round_that_is_stopped_has_a_row_for_every_target(void **state)
{
	static const uint16_t ports[] = {PORT_DROP, PORT_OPEN};
	struct ep_tcpcheck *c = start(OWN, ports, EP_ARRAY_LEN(ports));

	(void)state;
	ep_tcpcheck_round_stop(c, START_NS + 1);
	assert_true(ep_tcpcheck_round_done(c));
	assert_int_equal(row_of(c, PORT_DROP).status, EP_TCPCHECK_FILTERED);
	assert_int_equal(row_of(c, PORT_OPEN).status, EP_TCPCHECK_FILTERED);
	ep_tcpcheck_destroy(c);
}

static void
failure_of_our_own_socket_says_nothing_of_the_path(void **state)
{
	const uint16_t port = PORT_OPEN;
	struct rlimit old, none;
	struct ep_tcpcheck_cfg cfg = {.peer = ip_of(OWN)};
	const struct ep_tcpcheck_target target = {EP_TCPCHECK_TCP, port, EP_TCPCHECK_CONNECT, true};
	struct ep_tcpcheck *c;

	(void)state;
	assert_int_equal(ep_tcpcheck_targets_add(&cfg.targets, &target), 0);
	assert_int_equal(ep_tcpcheck_create(&cfg, &c, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ep_tcpcheck_round_start(c, START_NS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_true(ep_tcpcheck_round_done(c));
	assert_int_equal(row_of(c, port).status, EP_TCPCHECK_ERROR);
	assert_int_equal(row_of(c, port).error, EMFILE);
	ep_tcpcheck_destroy(c);
}

static int
open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void
write_line(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fprintf(f, "%s\n", text);
	assert_int_equal(fclose(f), 0);
}

static void
no_local_port_left_is_busy(void **state)
{
	const uint16_t port = PORT_OPEN;
	struct ep_tcpcheck *one, *two;

	(void)state;
	write_line("/proc/sys/net/ipv4/ip_local_port_range", "40001 40001");
	one = start(OWN, &port, 1);
	two = start(OWN, &port, 1);
	assert_true(ep_tcpcheck_round_done(two));
	assert_int_equal(row_of(two, port).status, EP_TCPCHECK_BUSY);
	assert_int_equal(row_of(two, port).error, EADDRNOTAVAIL);
	ep_tcpcheck_destroy(one);
	ep_tcpcheck_destroy(two);
	write_line("/proc/sys/net/ipv4/ip_local_port_range", "32768 60999");
}

static void
no_descriptor_is_left_open(void **state)
{
	static const uint16_t ports[] = {PORT_DROP, PORT_OPEN, PORT_SHUT};
	const int before = open_descriptors();
	struct ep_tcpcheck *c = start(OWN, ports, EP_ARRAY_LEN(ports));

	(void)state;
	/* One each, and epoll's own. */
	assert_int_equal(open_descriptors(), before + 4);
	ep_tcpcheck_hold_start(c, START_NS);
	ep_tcpcheck_load_start(c, 10, START_NS);
	ep_tcpcheck_poll(c, START_NS + EP_NS_PER_S);
	assert_true(open_descriptors() > before + 4);
	ep_tcpcheck_destroy(c);
	assert_int_equal(open_descriptors(), before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_tells_what_became_of_a_connect),
		cmocka_unit_test(check_is_filtered_exactly_when_its_time_is_over),
		cmocka_unit_test(answer_counts_even_when_it_is_seen_late),
		cmocka_unit_test(round_keeps_each_port_apart),
		cmocka_unit_test(round_that_is_stopped_has_a_row_for_every_target),
		cmocka_unit_test(failure_of_our_own_socket_says_nothing_of_the_path),
		cmocka_unit_test(no_descriptor_is_left_open),
		cmocka_unit_test(no_local_port_left_is_busy),
		/* The last: it takes the rules away. */
		cmocka_unit_test(lost_syn_is_repeated_and_counted),
	};

	return cmocka_run_group_tests_name("tcpcheck_network", tests, setup, NULL);
}
