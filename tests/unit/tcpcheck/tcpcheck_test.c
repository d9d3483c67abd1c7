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
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#define OWN "198.18.0.1"
#define OWN6 "2001:2::1"
#define START_NS UINT64_C(5000000000) /* the caller's clock need not begin at 0 */
#define ANSWER_MS 2000                /* far longer than loopback needs */

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
	netns_run("ip addr add 198.18.0.2/32 dev lo");
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
	struct ep_wire_ip ip = {.family = strchr(text, ':') != NULL ? EP_WIRE_IPV6 : EP_WIRE_IPV4};

	if (inet_pton(ip.family == EP_WIRE_IPV6 ? AF_INET6 : AF_INET, text, ip.bytes_be) != 1)
		fail_msg("bad address in the test: %s", text);
	return ip;
}

static struct ep_tcpcheck_round
start(const char *peer_text, const uint16_t *ports, uint32_t count)
{
	const struct ep_wire_ip peer = ip_of(peer_text);
	struct ep_tcpcheck_round round;

	ep_tcpcheck_start(&round, &peer, NULL, ports, count, START_NS);
	return round;
}

/* Let the kernel answer all that it is going to answer; the library is not asked meanwhile. */
static void
wait_for(const struct ep_tcpcheck_round *round, uint32_t i)
{
	struct pollfd pfd = {.fd = round->one[i].fd, .events = POLLOUT};

	if (pfd.fd >= 0)
		assert_int_equal(poll(&pfd, 1, ANSWER_MS), 1);
}

static struct ep_tcpcheck_one
check(const char *peer, uint16_t port, uint64_t answer_ns)
{
	struct ep_tcpcheck_round round = start(peer, &port, 1);

	wait_for(&round, 0);
	assert_true(ep_tcpcheck_poll(&round, START_NS + answer_ns));
	assert_int_equal(round.one[0].fd, -1);
	return round.one[0];
}

static void
check_tells_what_became_of_a_connect(void **state)
{
	static const struct {
		const char *peer;
		uint16_t port;
		enum ep_tcpcheck_status status;
		int error;
		bool answered;
	} cases[] = {
		{"127.0.0.1", PORT_OPEN, EP_TCPCHECK_OPEN, 0, true},
		{OWN, PORT_OPEN, EP_TCPCHECK_OPEN, 0, true},
		{OWN6, PORT_OPEN, EP_TCPCHECK_OPEN, 0, true},
		{OWN, PORT_SHUT, EP_TCPCHECK_REFUSED, ECONNREFUSED, true},
		{OWN6, PORT_SHUT, EP_TCPCHECK_REFUSED, ECONNREFUSED, true},
		{OWN, PORT_RESET, EP_TCPCHECK_REFUSED, ECONNREFUSED, true},
		{OWN, PORT_ICMP_PORT, EP_TCPCHECK_REFUSED, ECONNREFUSED, true},
		{OWN, PORT_ICMP_ADMIN, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, true},
		{OWN6, PORT_ICMP_ADMIN, EP_TCPCHECK_UNREACHABLE, EACCES, true},
		{"198.19.2.1", 443, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, false},
		{"2001:2:2::1", 443, EP_TCPCHECK_UNREACHABLE, EHOSTUNREACH, false},
		{"198.19.3.1", 443, EP_TCPCHECK_UNREACHABLE, EINVAL, false},
		{"198.19.4.1", 443, EP_TCPCHECK_UNREACHABLE, EACCES, false},
		{"198.51.100.1", 443, EP_TCPCHECK_UNREACHABLE, ENETUNREACH, false},
		{"2001:db8::1", 443, EP_TCPCHECK_UNREACHABLE, ENETUNREACH, false},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const struct ep_tcpcheck_one one = check(cases[i].peer, cases[i].port, 1234567);

		if (one.status != cases[i].status || one.error != cases[i].error)
			fail_msg("%s port %u: %s, errno %d", cases[i].peer, cases[i].port,
				ep_tcpcheck_status_name(one.status), one.error);
		assert_int_equal(one.connect_ns, cases[i].answered ? 1234567 : 0);
		assert_int_equal(one.start_ns, START_NS);
	}
}

static void
check_is_filtered_exactly_when_its_time_is_over(void **state)
{
	const uint16_t port = PORT_DROP;
	struct ep_tcpcheck_round round = start(OWN, &port, 1);

	(void)state;
	assert_false(ep_tcpcheck_poll(&round, START_NS));
	assert_false(ep_tcpcheck_poll(&round, START_NS + EP_TCPCHECK_TIMEOUT_NS - 1));
	assert_int_equal(round.one[0].status, EP_TCPCHECK_PENDING);
	assert_true(ep_tcpcheck_poll(&round, START_NS + EP_TCPCHECK_TIMEOUT_NS));
	assert_int_equal(round.one[0].status, EP_TCPCHECK_FILTERED);
	assert_int_equal(round.one[0].connect_ns, 0);
	assert_int_equal(round.one[0].fd, -1);
}

static void
answer_counts_even_when_it_is_seen_late(void **state)
{
	const struct ep_tcpcheck_one one = check(OWN, PORT_OPEN, EP_TCPCHECK_TIMEOUT_NS + 1);

	(void)state;
	assert_int_equal(one.status, EP_TCPCHECK_OPEN);
}

static void
round_keeps_each_port_apart(void **state)
{
	static const uint16_t ports[] = {PORT_DROP, PORT_OPEN, PORT_SHUT, PORT_OPEN};
	struct ep_tcpcheck_round round = start(OWN, ports, EP_ARRAY_LEN(ports));

	(void)state;
	for (uint32_t i = 1; i < 4; i++)
		wait_for(&round, i);
	assert_false(ep_tcpcheck_poll(&round, START_NS + 10));
	assert_int_equal(round.one[0].status, EP_TCPCHECK_PENDING);
	assert_int_equal(round.one[1].status, EP_TCPCHECK_OPEN);
	assert_int_equal(round.one[2].status, EP_TCPCHECK_REFUSED);
	assert_int_equal(round.one[3].status, EP_TCPCHECK_OPEN);
	assert_true(ep_tcpcheck_poll(&round, START_NS + EP_TCPCHECK_TIMEOUT_NS));
	assert_int_equal(round.one[0].status, EP_TCPCHECK_FILTERED);
	assert_int_equal(round.one[1].connect_ns, 10); /* done means done */
}

static void
round_of_no_port_is_done_and_of_too_many_is_cut(void **state)
{
	uint16_t ports[EP_TCPCHECK_PORTS_MAX + 1] = {0};
	struct ep_tcpcheck_round round = start(OWN, ports, 0);

	(void)state;
	assert_true(ep_tcpcheck_poll(&round, START_NS));
	for (size_t i = 0; i < EP_ARRAY_LEN(ports); i++)
		ports[i] = PORT_SHUT;
	round = start(OWN, ports, EP_ARRAY_LEN(ports));
	assert_int_equal(round.count, EP_TCPCHECK_PORTS_MAX);
	ep_tcpcheck_close(&round);
}

static void
source_is_bound_before_the_connect(void **state)
{
	const struct ep_wire_ip peer = ip_of(OWN), source = ip_of("198.18.0.2");
	const uint16_t port = 7887;
	const int listener = listen_on(port);
	struct ep_tcpcheck_round round;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct ep_wire_ip seen;
	int fd;

	(void)state;
	ep_tcpcheck_start(&round, &peer, &source, &port, 1, START_NS);
	wait_for(&round, 0);
	assert_true(ep_tcpcheck_poll(&round, START_NS));
	assert_int_equal(round.one[0].status, EP_TCPCHECK_OPEN);
	fd = accept(listener, (struct sockaddr *)&sa, &len);
	assert_true(fd >= 0);
	assert_int_equal(ep_netlink_sockaddr_get(&sa, &seen, NULL), 0);
	assert_true(ep_wire_ip_equal(&seen, &source));
	close(fd);
	close(listener);
}

static void
failure_of_our_own_socket_is_an_error(void **state)
{
	const struct ep_wire_ip peer = ip_of(OWN), not_ours = ip_of("198.18.0.3");
	const uint16_t port = PORT_OPEN;
	struct ep_tcpcheck_round round;
	struct rlimit old, none;

	(void)state;
	ep_tcpcheck_start(&round, &peer, &not_ours, &port, 1, START_NS);
	assert_int_equal(round.one[0].status, EP_TCPCHECK_ERROR);
	assert_int_equal(round.one[0].error, EADDRNOTAVAIL);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	ep_tcpcheck_start(&round, &peer, NULL, &port, 1, START_NS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(round.one[0].status, EP_TCPCHECK_ERROR);
	assert_int_equal(round.one[0].error, EMFILE);
	assert_true(ep_tcpcheck_poll(&round, START_NS));
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
no_descriptor_is_left_open(void **state)
{
	static const uint16_t ports[] = {PORT_DROP, PORT_OPEN, PORT_SHUT};
	const int before = open_descriptors();
	struct ep_tcpcheck_round round = start(OWN, ports, EP_ARRAY_LEN(ports));

	(void)state;
	assert_int_equal(open_descriptors(), before + 3);
	ep_tcpcheck_close(&round);
	assert_int_equal(round.one[0].status, EP_TCPCHECK_PENDING);
	assert_int_equal(open_descriptors(), before);
	ep_tcpcheck_close(&round);
	round = start(OWN, ports, EP_ARRAY_LEN(ports));
	ep_tcpcheck_poll(&round, START_NS + EP_TCPCHECK_TIMEOUT_NS);
	assert_int_equal(open_descriptors(), before);
}

static void
sentence_says_what_the_user_has_to_know(void **state)
{
	static const struct {
		struct ep_tcpcheck_one one;
		const char *text;
	} cases[] = {
		{{.port = 443, .status = EP_TCPCHECK_PENDING}, "port 443: no answer yet"},
		{{.port = 443, .status = EP_TCPCHECK_OPEN, .connect_ns = 1200000},
			"port 443: open after 1.2 ms"},
		{{.port = 80,
			 .status = EP_TCPCHECK_REFUSED,
			 .connect_ns = 31000,
			 .error = ECONNREFUSED},
			"port 80: refused after 31 us: nothing listens there, or a firewall "
			"rejects it"},
		{{.port = 80, .status = EP_TCPCHECK_FILTERED, .error = ETIMEDOUT},
			"port 80: filtered: no answer within 3 s; a firewall drops it or the host "
			"is down"},
		{{.port = 80, .status = EP_TCPCHECK_UNREACHABLE, .error = EHOSTUNREACH},
			"port 80: unreachable: No route to host"},
		{{.port = 80, .status = EP_TCPCHECK_UNREACHABLE, .error = EINVAL},
			"port 80: unreachable: Blackhole route"},
		{{.port = 80, .status = EP_TCPCHECK_ERROR, .error = EMFILE},
			"port 80: error of this host's own socket: Too many open files"},
	};
	static const char *const names[] = {
		"pending", "open", "refused", "filtered", "unreachable", "error"};
	char buf[128];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		ep_tcpcheck_sentence(&cases[i].one, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].text);
	}
	ep_tcpcheck_sentence(&cases[0].one, buf, 6);
	assert_string_equal(buf, "port ");
	for (size_t i = 0; i < EP_ARRAY_LEN(names); i++)
		assert_string_equal(ep_tcpcheck_status_name((enum ep_tcpcheck_status)i), names[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_tells_what_became_of_a_connect),
		cmocka_unit_test(check_is_filtered_exactly_when_its_time_is_over),
		cmocka_unit_test(answer_counts_even_when_it_is_seen_late),
		cmocka_unit_test(round_keeps_each_port_apart),
		cmocka_unit_test(round_of_no_port_is_done_and_of_too_many_is_cut),
		cmocka_unit_test(source_is_bound_before_the_connect),
		cmocka_unit_test(failure_of_our_own_socket_is_an_error),
		cmocka_unit_test(no_descriptor_is_left_open),
		cmocka_unit_test(sentence_says_what_the_user_has_to_know),
	};

	return cmocka_run_group_tests_name("tcpcheck", tests, setup, NULL);
}
