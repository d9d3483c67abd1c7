/* In a network namespace of its own: the kernel of the loopback refuses datagrams, and what it says is read. */

#include "../netlink/netns.h"

#include <ep_icmp.h>
#include <ep_slow.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PORT 51007
#define SOURCE 20007

static struct ep_range *range;
static struct ep_sched space;

static struct ep_slow_match
match_of(const char *address)
{
	struct ep_slow_match m = {.range = range, .space = &space};

	assert_int_equal(ep_wire_ip_parse(address, &m.local, NULL), 0);
	m.peer = m.local;
	return m;
}

/* A datagram of a probe's size to a port where nobody listens. Loopback: it is refused before this returns. */
static void
send_refused(int family, uint16_t port)
{
	const uint8_t payload[EP_WIRE_PROBE_BYTES] = {0x80, EP_WIRE_PT_UP};
	struct sockaddr_in ipv4 = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0), on = 1;
	const struct sockaddr *sa =
		family == AF_INET ? (struct sockaddr *)&ipv4 : (struct sockaddr *)&ipv6;
	const socklen_t len = family == AF_INET ? sizeof(ipv4) : sizeof(ipv6);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	ipv4.sin_port = ipv6.sin6_port = htons(SOURCE);
	assert_int_equal(bind(fd, sa, len), 0);
	ipv4.sin_port = ipv6.sin6_port = htons(port);
	assert_int_equal(sendto(fd, payload, sizeof(payload), 0, sa, len), sizeof(payload));
	close(fd);
}

static void
an_error_of_the_kernel_is_read_and_matched(
	int family, const char *address, uint8_t type, uint8_t code)
{
	const struct ep_slow_match m = match_of(address);
	uint8_t packet[EP_ICMP_PACKET_MAX];
	struct ep_slow_quote q;
	struct ep_icmp *icmp;
	size_t len;

	assert_int_equal(ep_icmp_open((int)if_nametoindex("lo"), m.local.family, &icmp, NULL), 0);
	assert_int_equal(ep_icmp_take(icmp, packet, sizeof(packet)), 0);
	send_refused(family, PORT);
	len = ep_icmp_take(icmp, packet, sizeof(packet));
	assert_true(len > 0);
	assert_int_equal(ep_slow_quote(&m, packet, len, &q), EP_SLOW_PORT);
	assert_int_equal(q.port_index, 7);
	assert_int_equal(q.type, type);
	assert_int_equal(q.code, code);
	assert_true(ep_wire_ip_equal(&q.from, &m.local));
	send_refused(family, 9); /* not under test */
	len = ep_icmp_take(icmp, packet, sizeof(packet));
	assert_int_equal(ep_slow_quote(&m, packet, len, &q), EP_SLOW_FOREIGN);
	assert_int_equal(ep_icmp_take(icmp, packet, sizeof(packet)), 0);
	assert_int_equal(ep_icmp_missed(icmp), 0);
	ep_icmp_close(icmp);
}

static void
an_icmp_error_is_read_from_the_interface_and_matched(void **state)
{
	(void)state;
	an_error_of_the_kernel_is_read_and_matched(AF_INET, "127.0.0.1", 3, 3);
}

static void
so_is_one_of_icmpv6(void **state)
{
	(void)state;
	an_error_of_the_kernel_is_read_and_matched(AF_INET6, "::1", 1, 4);
}

static void
it_is_read_in_front_of_a_firewall_that_drops_it(void **state)
{
	(void)state;
	netns_run("nft add table inet ep");
	netns_run("nft add chain inet ep in { type filter hook input priority 0 ; }");
	netns_run("nft add rule inet ep in meta l4proto { icmp, icmpv6 } drop");
	an_error_of_the_kernel_is_read_and_matched(AF_INET, "127.0.0.1", 3, 3);
	netns_run("nft delete table inet ep");
}

/* What ping prints must not stand between the lines of TAP. */
static void
ping(const char *command)
{
	const int out = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_true(out >= 0 && dup2(STDERR_FILENO, STDOUT_FILENO) >= 0);
	netns_run(command);
	assert_true(dup2(out, STDOUT_FILENO) >= 0);
	close(out);
}

static void
pings_are_left_out(void **state)
{
	uint8_t packet[EP_ICMP_PACKET_MAX];
	struct ep_icmp *icmp[2];

	(void)state;
	assert_int_equal(ep_icmp_open((int)if_nametoindex("lo"), EP_WIRE_IPV4, &icmp[0], NULL), 0);
	assert_int_equal(ep_icmp_open((int)if_nametoindex("lo"), EP_WIRE_IPV6, &icmp[1], NULL), 0);
	ping("ping -q -c 2 -i 0.01 127.0.0.1");
	ping("ping -q -c 2 -i 0.01 ::1");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ep_icmp_take(icmp[i], packet, sizeof(packet)), 0);
		ep_icmp_close(icmp[i]);
	}
}

static void
what_finds_no_room_is_counted(void **state)
{
	uint8_t packet[EP_ICMP_PACKET_MAX];
	uint64_t taken = 0, missed;
	struct ep_icmp *icmp;

	(void)state;
	assert_int_equal(ep_icmp_open((int)if_nametoindex("lo"), EP_WIRE_IPV4, &icmp, NULL), 0);
	for (int i = 0; i < 20000; i++)
		send_refused(AF_INET, PORT);
	while (ep_icmp_take(icmp, packet, sizeof(packet)) > 0)
		taken++;
	missed = ep_icmp_missed(icmp);
	assert_true(taken > 1000);
	assert_int_equal(taken + missed, 20000);
	assert_int_equal(ep_icmp_missed(icmp), 0);
	ep_icmp_close(icmp);
}

static void
an_interface_that_is_not_there_is_an_error_with_a_sentence(void **state)
{
	struct ep_icmp *icmp;
	struct ep_err err;

	(void)state;
	assert_int_equal(ep_icmp_open(9999, EP_WIRE_IPV4, &icmp, &err), -ENODEV);
	assert_string_equal(err.text, "a packet socket for ICMP errors: No such device");
	ep_icmp_close(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_icmp_error_is_read_from_the_interface_and_matched),
		cmocka_unit_test(so_is_one_of_icmpv6),
		cmocka_unit_test(it_is_read_in_front_of_a_firewall_that_drops_it),
		cmocka_unit_test(pings_are_left_out),
		cmocka_unit_test(what_finds_no_room_is_counted),
		cmocka_unit_test(an_interface_that_is_not_there_is_an_error_with_a_sentence),
	};
	const struct ep_sched_cfg cfg = {
		.port_count = 10,
		.source_count = 1,
		.address_count = 1,
		.source_base = 20000,
		.source_span = 1000,
	};
	int ret;

	range = malloc(sizeof(*range));
	if (range == NULL || ep_range_parse("51000-51009", "ports", range, NULL) < 0 ||
		ep_sched_init(&space, &cfg, NULL) < 0)
		return 1;
	netns_enter_new();
	/* Every refusal is to be told: the kernel limits them otherwise. */
	netns_run("sysctl -q -w net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0");
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	free(range);
	return ret;
}
