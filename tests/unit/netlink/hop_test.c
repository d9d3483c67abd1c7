/* A next hop whose MAC changes, and an interface that is set up. Two namespaces joined by a veth pair. */

#include "netns.h"

#include <ep_netlink.h>

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#define WAIT_MS 1000
/* A silent control connection is given up after a second; the kernel alone takes half a minute. Room for a slow machine. */
#define FOLLOWED_MS 900
#define LOOK_MS 10

struct fixture {
	int near_fd, far_fd;
};

static int64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static struct ep_wire_ip
ip_of(const char *text)
{
	struct ep_wire_ip ip;

	assert_int_equal(ep_wire_ip_parse(text, &ip, NULL), 0);
	return ip;
}

static int
setup(void **state)
{
	static struct fixture f;
	char command[192];

	f.far_fd = netns_enter_new();
	f.near_fd = netns_enter_new();
	snprintf(command, sizeof(command),
		"ip link add near0 type veth peer name far0 netns /proc/%d/fd/%d", (int)getpid(),
		f.far_fd);
	netns_run(command);
	netns_run("ip addr add 198.18.0.1/24 dev near0");
	netns_run("ip addr add fdc0::1/64 dev near0 nodad");
	netns_run("ip link set near0 up");
	netns_enter(f.far_fd);
	netns_run("ip link set far0 address 02:00:00:00:00:02");
	netns_run("ip addr add 198.18.0.2/24 dev far0");
	netns_run("ip addr add fdc0::2/64 dev far0 nodad");
	netns_run("ip link set far0 up");
	netns_enter(f.near_fd);
	*state = &f;
	return 0;
}

static void
far_run(const struct fixture *f, const char *command)
{
	netns_enter(f->far_fd);
	netns_run(command);
	netns_enter(f->near_fd);
}

/* Follow for a while, or until the MAC changes. Returns how long that took [ms], -1: it did not. */
static int64_t
follow(struct ep_netlink_hop *hop, int64_t ms)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	const int64_t start_ms = now_ms();

	while (now_ms() - start_ms < ms) {
		if (ep_netlink_hop_follow(hop, (uint64_t)now_ms() * EP_NS_PER_MS))
			return now_ms() - start_ms;
		nanosleep(&pause, NULL);
	}
	return -1;
}

static void
begin(struct ep_netlink_hop *hop, const char *peer)
{
	const struct ep_wire_ip ip = ip_of(peer);
	struct ep_netlink_route route;
	struct ep_err err;

	netns_run("ip neigh flush dev near0"); /* what an earlier test left */
	if (ep_netlink_route(&ip, WAIT_MS, &route, &err) < 0)
		fail_msg("%s", err.text);
	ep_netlink_hop_init(hop, &route);
}

static void
mac_that_changes_without_a_word_is_followed(void **state)
{
	static const char *const peers[] = {"198.18.0.2", "fdc0::2"};
	const struct fixture *f = *state;

	far_run(f, "sysctl -qw net.ipv4.conf.far0.arp_notify=0 net.ipv6.conf.far0.ndisc_notify=0");
	for (size_t i = 0; i < EP_ARRAY_LEN(peers); i++) {
		struct ep_netlink_hop hop;
		char command[64];
		int64_t took_ms;

		begin(&hop, peers[i]);
		/* Nothing happens where nothing changes. */
		assert_int_equal(follow(&hop, 800), -1);
		snprintf(command, sizeof(command), "ip link set far0 address 02:00:00:00:01:%02x",
			(unsigned int)i);
		far_run(f, command);
		took_ms = follow(&hop, 3000);
		print_message("# %s: %d ms\n", peers[i], (int)took_ms);
		assert_in_range(took_ms, 0, FOLLOWED_MS);
		assert_int_equal(hop.route.next_hop_mac[4], 1);
		assert_int_equal(hop.route.next_hop_mac[5], i);
		assert_int_equal(follow(&hop, 500), -1);
	}
}

static void
mac_that_is_announced_is_followed_at_once(void **state)
{
	const struct fixture *f = *state;
	struct ep_netlink_hop hop;

	begin(&hop, "198.18.0.2");
	assert_int_equal(follow(&hop, 1200), -1); /* the kernel holds a new entry for a second */
	far_run(f, "sysctl -qw net.ipv4.conf.far0.arp_notify=1");
	far_run(f, "ip link set far0 address 02:00:00:00:02:02");
	assert_in_range(follow(&hop, 3000), 0, FOLLOWED_MS);
	assert_int_equal(hop.route.next_hop_mac[4], 2);
}

static void
next_hop_that_is_away_is_found_when_it_comes_back(void **state)
{
	const struct fixture *f = *state;
	struct ep_netlink_hop hop;

	begin(&hop, "198.18.0.2");
	far_run(f, "ip addr del 198.18.0.2/24 dev far0");
	assert_int_equal(follow(&hop, 1500), -1);
	far_run(f, "ip link set far0 address 02:00:00:00:03:02");
	far_run(f, "ip addr add 198.18.0.2/24 dev far0");
	assert_in_range(follow(&hop, 5000), 0, 3000);
	assert_int_equal(hop.route.next_hop_mac[4], 3);
}

static void
permanent_entry_is_left_alone(void **state)
{
	const struct fixture *f = *state;
	struct ep_netlink_hop hop;

	netns_run("ip neigh replace 198.18.0.2 lladdr 02:00:00:00:09:09 nud permanent dev near0");
	begin(&hop, "198.18.0.2");
	assert_int_equal(hop.route.next_hop_mac[4], 9);
	assert_int_equal(follow(&hop, 700), -1);
	/* ... until the administrator changes it. */
	netns_run("ip neigh replace 198.18.0.2 lladdr 02:00:00:00:0a:0a nud permanent dev near0");
	assert_in_range(follow(&hop, 1000), 0, 500);
	netns_run("ip neigh del 198.18.0.2 dev near0");
	(void)f;
}

static void
interface_gets_mac_addresses_and_a_default_route(void **state)
{
	const struct ep_netlink_set set = {{2, 0, 0, 0, 5, 5}, 1400};
	const struct ep_wire_ip a4 = ip_of("203.0.113.1"), a6 = ip_of("2001:db8::1");
	const struct ep_wire_ip gateway = ip_of("203.0.113.2"), off = ip_of("192.0.2.1");
	struct ep_netlink_link link;
	struct ep_netlink_route route;
	int index;

	(void)state;
	netns_run("ip link add set0 type veth peer name set1");
	netns_run("ip link set set1 up");
	index = (int)if_nametoindex("set0");
	assert_int_equal(ep_netlink_set(index, &set), 0);
	assert_int_equal(ep_netlink_addr_add(index, &a4, 24), 0);
	assert_int_equal(ep_netlink_up(index), 0);
	assert_int_equal(ep_netlink_addr_add(index, &a6, 64), 0);
	assert_int_equal(ep_netlink_addr_add(index, &a4, 24), -EEXIST);
	assert_int_equal(ep_netlink_link("set0", &link, NULL), 0);
	assert_memory_equal(link.mac, set.mac, 6);
	assert_int_equal(link.mtu_bytes, 1400);
	assert_true(link.up);
	assert_int_equal(ep_netlink_addr_state(index, &a4), EP_NETLINK_ADDR_READY);
	assert_int_not_equal(ep_netlink_addr_state(index, &a6), EP_NETLINK_ADDR_NONE);
	assert_int_equal(ep_netlink_addr_state(index, &off), EP_NETLINK_ADDR_NONE);
	assert_int_equal(ep_netlink_default_add(index, &off, 1), -ENETUNREACH);
	assert_int_equal(ep_netlink_default_add(index, &gateway, 100), 0);
	/* Beside a better one it counts for who asks for the interface. */
	netns_run("ip route add default via 198.18.0.2 metric 1");
	netns_run("ip neigh add 203.0.113.2 lladdr 02:00:00:00:06:06 dev set0");
	netns_run("ip neigh replace 198.18.0.2 lladdr 02:00:00:00:07:07 dev near0");
	assert_int_equal(ep_netlink_route_over(&off, index, 100, &route, NULL), 0);
	assert_int_equal(route.ifindex, index);
	assert_true(ep_wire_ip_equal(&route.next_hop, &gateway));
	assert_true(ep_wire_ip_equal(&route.source, &a4));
	assert_int_equal(route.next_hop_mac[5], 6);
	assert_int_equal(ep_netlink_route(&off, 100, &route, NULL), 0);
	assert_int_equal(route.next_hop_mac[5], 7);
	assert_int_equal(ep_netlink_up(99999), -ENODEV);
	netns_run("ip link del set0");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mac_that_changes_without_a_word_is_followed),
		cmocka_unit_test(mac_that_is_announced_is_followed_at_once),
		cmocka_unit_test(next_hop_that_is_away_is_found_when_it_comes_back),
		cmocka_unit_test(permanent_entry_is_left_alone),
		cmocka_unit_test(interface_gets_mac_addresses_and_a_default_route),
	};

	return cmocka_run_group_tests_name("hop", tests, setup, NULL);
}
