/*
 * Needs root: everything happens in two network namespaces of this process.
 *
 *   near: nq0 198.18.0.1/24, fdc0::1/64 --- veth --- far: nq1 198.18.0.2/24, fdc0::2/64
 */
#include "netns.h"

#include <ep_netlink.h>

#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cmocka.h>

#define NEAR_MAC "02:00:00:00:00:01"
#define FAR_MAC "02:00:00:00:00:02"
#define WAIT_MS 2000
#define SHORT_MS 60

static const uint8_t near_mac[6] = {2, 0, 0, 0, 0, 1};
static const uint8_t far_mac[6] = {2, 0, 0, 0, 0, 2};

static int
setup(void **state)
{
	static int fd[2];
	char command[192];

	fd[0] = netns_enter_new(); /* far */
	fd[1] = netns_enter_new(); /* near */
	/* Another link before ours, where a link-local address would lead to without its interface. */
	netns_run("ip link add nq4 type veth peer name nq5");
	netns_run("ip link set nq4 addrgenmode none up");
	netns_run("ip addr add fe80::9/64 dev nq4 nodad");
	netns_run("ip link set nq5 addrgenmode none up");
	snprintf(command, sizeof(command),
		"ip link add nq0 address " NEAR_MAC " numrxqueues 4 numtxqueues 4 type veth "
		"peer name nq1 numtxqueues 1 netns /proc/%d/fd/%d",
		(int)getpid(), fd[0]);
	netns_run(command);
	netns_run("ip link set nq0 addrgenmode none");
	netns_run("ip addr add 198.18.0.1/24 dev nq0");
	netns_run("ip addr add fdc0::1/64 dev nq0 nodad");
	netns_run("ip addr add fe80::1/64 dev nq0 nodad");
	netns_run("ip link set nq0 mtu 1400 up");
	netns_enter(fd[0]);
	netns_run("ip link set nq1 address " FAR_MAC " addrgenmode none");
	netns_run("ip addr add 198.18.0.2/24 dev nq1");
	netns_run("ip addr add fdc0::2/64 dev nq1 nodad");
	netns_run("ip addr add fe80::2/64 dev nq1 nodad");
	netns_run("ip link set nq1 up");
	netns_enter(fd[1]);
	netns_run("ip route add 198.19.0.0/24 via 198.18.0.2 mtu 1300");
	netns_run("ip route add 198.19.1.0/24 via inet6 fe80::2 dev nq0");
	netns_run("ip -6 route add 2001:2::/48 via fe80::2 dev nq0");
	netns_run("ip route add unreachable 198.19.2.0/24");
	netns_run("ip route add blackhole 198.19.3.0/24");
	netns_run("ip route add prohibit 198.19.4.0/24");
	netns_run("ip -6 route add unreachable 2001:2:2::/48");
	netns_run("ip -6 route add blackhole 2001:2:3::/48");
	*state = fd;
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

static void
assert_ip(const struct ep_wire_ip *ip, const char *want_text)
{
	const struct ep_wire_ip want = ip_of(want_text);

	assert_int_equal(ip->family, want.family);
	assert_memory_equal(ip->bytes_be, want.bytes_be, sizeof(want.bytes_be));
}

static bool
has_addr(const struct ep_netlink_link *link, const char *text, uint8_t prefix_bits)
{
	const struct ep_wire_ip want = ip_of(text);

	for (uint32_t i = 0; i < link->addr_count; i++) {
		if (ep_wire_ip_equal(&link->addr[i].ip, &want))
			return link->addr[i].prefix_bits == prefix_bits;
	}
	return false;
}

static struct ep_netlink_link
link_of(const char *name)
{
	struct ep_netlink_link link;
	struct ep_err err = {0};

	if (ep_netlink_link(name, &link, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return link;
}

static void
link_says_what_the_kernel_knows_of_a_veth(void **state)
{
	const struct ep_netlink_link link = link_of("nq0");

	(void)state;
	assert_string_equal(link.name, "nq0");
	assert_int_equal(link.ifindex, if_nametoindex("nq0"));
	assert_memory_equal(link.mac, near_mac, 6);
	assert_int_equal(link.mtu_bytes, 1400);
	assert_true(link.up);
	assert_false(link.loopback);
	assert_int_equal(link.xdp_prog_id, 0);
	assert_string_equal(link.driver, "veth");
	assert_int_equal(link.speed_bps, UINT64_C(10000000000)); /* what the veth driver claims */
	assert_int_equal(link.addr_count, 3);
	assert_true(has_addr(&link, "198.18.0.1", 24));
	assert_true(has_addr(&link, "fdc0::1", 64));
	assert_ip(&link.addr[2].ip, "fe80::1");
}

static void
link_knows_loopback_and_defaults_what_it_has_not(void **state)
{
	const struct ep_netlink_link link = link_of("lo");
	const uint8_t zero[6] = {0};

	(void)state;
	assert_true(link.loopback);
	assert_true(link.up);
	assert_memory_equal(link.mac, zero, 6);
	assert_int_equal(link.mtu_bytes, 65536);
	assert_int_equal(link.rx_queue_count, 1);
	assert_int_equal(link.speed_bps, 0);
	assert_string_equal(link.driver, "");
	assert_true(has_addr(&link, "127.0.0.1", 8));
	assert_true(has_addr(&link, "::1", 128));
}

static void
link_is_up_only_with_a_carrier(void **state)
{
	(void)state;
	netns_run("ip link add nq2 type veth peer name nq3");
	assert_false(link_of("nq2").up);
	netns_run("ip link set nq2 up");
	assert_false(link_of("nq2").up); /* the far end is down */
	netns_run("ip link set nq3 up");
	assert_true(link_of("nq2").up);
	netns_run("ip link set nq2 down");
	assert_false(link_of("nq2").up);
	netns_run("ip link del nq2");
}

static void
set_rx_channels(const char *name, uint32_t count)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq ifr = {.ifr_data = (void *)&channels};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	channels.cmd = ETHTOOL_SCHANNELS;
	channels.rx_count = count;
	assert_int_equal(ioctl(fd, SIOCETHTOOL, &ifr), 0);
	close(fd);
}

static void
link_counts_the_current_queues_not_the_possible_ones(void **state)
{
	(void)state;
	set_rx_channels("nq0", 3);
	assert_int_equal(link_of("nq0").rx_queue_count, 3);
	set_rx_channels("nq0", 1);
	assert_int_equal(link_of("nq0").rx_queue_count, 1);
}

static int
bpf(enum bpf_cmd command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* The smallest program: r0 = XDP_PASS; exit. */
static int
xdp_pass_load(uint32_t *id)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)insns,
		.insn_cnt = EP_ARRAY_LEN(insns),
		.license = (uintptr_t) "BSD",
	};
	const int fd = bpf(BPF_PROG_LOAD, &load);
	struct bpf_prog_info info = {0};
	union bpf_attr get = {.info = {.info_len = sizeof(info), .info = (uintptr_t)&info}};

	assert_true(fd >= 0);
	get.info.bpf_fd = (uint32_t)fd;
	assert_int_equal(bpf(BPF_OBJ_GET_INFO_BY_FD, &get), 0);
	*id = info.id;
	return fd;
}

static void
link_names_the_xdp_program_while_it_is_attached(void **state)
{
	union bpf_attr attach = {0};
	uint32_t id;
	int link_fd;

	(void)state;
	attach.link_create.prog_fd = (uint32_t)xdp_pass_load(&id);
	attach.link_create.target_ifindex = if_nametoindex("nq0");
	attach.link_create.attach_type = BPF_XDP;
	link_fd = bpf(BPF_LINK_CREATE, &attach);
	if (link_fd < 0)
		fail_msg("attach: %s", strerror(errno));
	assert_int_not_equal(id, 0);
	assert_int_equal(link_of("nq0").xdp_prog_id, id);
	close(link_fd);
	close((int)attach.link_create.prog_fd);
	assert_int_equal(link_of("nq0").xdp_prog_id, 0);
}

static void
link_keeps_addresses_of_global_scope_first_when_there_are_too_many(void **state)
{
	struct ep_netlink_link link;
	char command[64];

	(void)state;
	netns_run("ip link add nq2 type veth peer name nq3");
	netns_run("ip link set nq2 addrgenmode none up");
	for (int i = 1; i <= EP_NETLINK_ADDRS_MAX; i++) {
		snprintf(command, sizeof(command), "ip addr add 169.254.0.%d/32 dev nq2 scope link",
			i);
		netns_run(command);
	}
	link = link_of("nq2");
	assert_int_equal(link.addr_count, EP_NETLINK_ADDRS_MAX);
	netns_run("ip addr add 198.18.9.1/32 dev nq2");
	netns_run("ip addr add 198.18.9.2 peer 198.18.9.3/32 dev nq2");
	netns_run("ip addr add fdc9::1/128 dev nq2 nodad");
	link = link_of("nq2");
	assert_int_equal(link.addr_count, EP_NETLINK_ADDRS_MAX);
	assert_ip(&link.addr[0].ip, "198.18.9.1");
	assert_ip(&link.addr[1].ip, "198.18.9.2");
	assert_ip(&link.addr[2].ip, "fdc9::1");
	assert_ip(&link.addr[3].ip, "169.254.0.1");
	netns_run("ip link del nq2");
}

static void
link_unknown_is_refused_with_the_names_there_are(void **state)
{
	static const char *const bad[] = {"nosuch0", "", "nq0 ", "a_name_of_16_chr", "%s%n"};
	struct ep_netlink_link link = {.ifindex = -7};
	struct ep_err err;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(bad); i++) {
		char quoted[32];

		assert_int_equal(ep_netlink_link(bad[i], &link, &err), -ENODEV);
		assert_int_equal(err.code, -ENODEV);
		snprintf(quoted, sizeof(quoted), "\"%s\"", bad[i]);
		assert_non_null(strstr(err.text, quoted));
		assert_non_null(strstr(err.text, "nq0"));
		assert_non_null(strstr(err.text, "lo"));
		assert_int_equal(link.ifindex, -7);
	}
	assert_int_equal(ep_netlink_link("nosuch0", &link, NULL), -ENODEV);
}

/* Runs last: its interfaces stay. */
static void
link_list_of_names_ends_in_dots_when_it_is_too_long(void **state)
{
	struct ep_netlink_link link;
	struct ep_err err;
	char command[96];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(command, sizeof(command),
			"ip link add quite_long_%02d_a type veth peer name quite_long_%02d_b", i,
			i);
		netns_run(command);
	}
	assert_int_equal(ep_netlink_link("nosuch0", &link, &err), -ENODEV);
	assert_string_equal(err.text + strlen(err.text) - strlen("_a, ..."),
		err.text[strlen(err.text) - strlen("_a, ...") + 1] == 'a' ? "_a, ..." : "_b, ...");
}

static void
ifname_is_the_reverse_of_the_index(void **state)
{
	char name[16];

	(void)state;
	assert_int_equal(ep_netlink_ifname((int)if_nametoindex("nq0"), name), 0);
	assert_string_equal(name, "nq0");
	assert_int_equal(ep_netlink_ifname(123456, name), -ENODEV);
	assert_int_equal(ep_netlink_ifname(0, name), -ENODEV);
}

static void
stats_count_what_passes(void **state)
{
	struct ep_netlink_stats before, after;
	const int ifindex = (int)if_nametoindex("lo");
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(to);

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&to, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(ep_netlink_stats(ifindex, &before), 0);
	for (int i = 0; i < 7; i++)
		assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), 1);
	assert_int_equal(ep_netlink_stats(ifindex, &after), 0);
	assert_int_equal(after.tx_packets - before.tx_packets, 7);
	assert_int_equal(after.rx_packets - before.rx_packets, 7);
	assert_int_equal(after.rx_errors, 0);
	close(fd);
}

static void
stats_of_an_unknown_index_are_refused(void **state)
{
	struct ep_netlink_stats stats;

	(void)state;
	assert_int_equal(ep_netlink_stats(123456, &stats), -ENODEV);
	assert_int_equal(ep_netlink_stats(0, &stats), -ENODEV);
	assert_int_equal(ep_netlink_stats(-1, &stats), -ENODEV);
}

static void
route_finds_the_way_to_a_peer(void **state)
{
	static const struct {
		const char *peer, *source, *next_hop;
		uint32_t mtu_bytes;
	} cases[] = {
		{"198.18.0.2", "198.18.0.1", "198.18.0.2", 0},
		{"fdc0::2", "fdc0::1", "fdc0::2", 0},
		{"198.19.0.5", "198.18.0.1", "198.18.0.2", 1300},
		{"2001:2::5", "fdc0::1", "fe80::2", 0},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const struct ep_wire_ip peer = ip_of(cases[i].peer);
		struct ep_netlink_route route;
		struct ep_err err = {0};

		if (ep_netlink_route(&peer, WAIT_MS, &route, &err) != 0)
			fail_msg("%s: %s", cases[i].peer, err.text);
		assert_int_equal(route.ifindex, if_nametoindex("nq0"));
		assert_ip(&route.source, cases[i].source);
		assert_ip(&route.next_hop, cases[i].next_hop);
		assert_memory_equal(route.next_hop_mac, far_mac, 6);
		assert_false(route.local);
		assert_int_equal(route.mtu_bytes, cases[i].mtu_bytes);
	}
}

static void
route_to_ourselves_is_local_and_has_no_mac(void **state)
{
	static const char *const own[] = {"127.0.0.1", "::1", "198.18.0.1", "fdc0::1"};
	const uint8_t zero[6] = {0};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(own); i++) {
		const struct ep_wire_ip peer = ip_of(own[i]);
		struct ep_netlink_route route;

		assert_int_equal(ep_netlink_route(&peer, 0, &route, NULL), 0);
		assert_true(route.local);
		assert_ip(&route.next_hop, own[i]);
		assert_memory_equal(route.next_hop_mac, zero, 6);
	}
}

static void
route_over_an_interface_without_neighbours_has_no_mac(void **state)
{
	const struct ep_wire_ip peer = ip_of("198.18.7.2");
	const uint8_t zero[6] = {0};
	struct ep_netlink_route route;

	(void)state;
	netns_run("ip link add nq2 type veth peer name nq3");
	netns_run("ip link set nq2 arp off up");
	netns_run("ip link set nq3 up");
	netns_run("ip addr add 198.18.7.1/24 dev nq2");
	assert_int_equal(ep_netlink_route(&peer, 0, &route, NULL), 0);
	assert_memory_equal(route.next_hop_mac, zero, 6);
	assert_int_equal(route.ifindex, if_nametoindex("nq2"));
	netns_run("ip link del nq2");
}

static void
route_uses_a_neighbour_that_is_known_without_waiting(void **state)
{
	const struct ep_wire_ip peer = ip_of("198.18.0.77");
	const uint8_t mac[6] = {2, 0, 0, 0, 0, 0x77};
	struct ep_netlink_route route;

	(void)state;
	netns_run("ip neigh add 198.18.0.77 lladdr 02:00:00:00:00:77 nud permanent dev nq0");
	assert_int_equal(ep_netlink_route(&peer, 0, &route, NULL), 0);
	assert_memory_equal(route.next_hop_mac, mac, 6);
}

static int
far_socket(const int fd[2], uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
	int s;

	netns_enter(fd[0]);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s, (const struct sockaddr *)&at, sizeof(at)), 0);
	netns_enter(fd[1]);
	return s;
}

static void
route_sends_one_empty_datagram_and_only_to_an_unknown_neighbour(void **state)
{
	const struct ep_wire_ip peer = ip_of("198.18.0.2");
	const int s = far_socket(*state, 9);
	struct ep_netlink_route route;
	uint8_t byte;

	netns_run("ip neigh flush dev nq0 to 198.18.0.2");
	assert_int_equal(ep_netlink_route(&peer, WAIT_MS, &route, NULL), 0);
	assert_int_equal(recv(s, &byte, 1, 0), 0);
	assert_int_equal(ep_netlink_route(&peer, WAIT_MS, &route, NULL), 0);
	assert_int_equal(recv(s, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
	close(s);
}

static void
route_refuses_with_a_sentence(void **state)
{
	static const struct {
		const char *peer;
		int code;
		const char *says;
	} cases[] = {
		{"198.51.100.1", -ENETUNREACH, "no route to 198.51.100.1"},
		{"2001:db8::1", -ENETUNREACH, "no route to 2001:db8::1"},
		{"198.19.2.1", -ENETUNREACH, "no route to 198.19.2.1"},
		{"198.19.3.1", -ENETUNREACH, "blackhole"},
		{"198.19.4.1", -ENETUNREACH, "no route to 198.19.4.1"},
		{"2001:2:2::1", -ENETUNREACH, "no route to 2001:2:2::1"},
		{"2001:2:3::1", -ENETUNREACH, "blackhole"},
		{"198.18.0.255", -EINVAL, "a peer is one host"},
		{"ff02::1", -EINVAL, "a peer is one host"},
		{"198.19.1.1", -EAFNOSUPPORT, "other address family"},
		{"198.18.0.99", -EHOSTUNREACH,
			"198.18.0.99 on nq0 did not answer ARP within 60 ms"},
		{"fdc0::99", -EHOSTUNREACH, "fdc0::99 on nq0 did not answer NDP within 60 ms"},
	};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		const struct ep_wire_ip peer = ip_of(cases[i].peer);
		struct ep_netlink_route route = {.ifindex = -7};
		struct ep_err err = {0};

		if (ep_netlink_route(&peer, SHORT_MS, &route, &err) != cases[i].code)
			fail_msg("%s: %d, %s", cases[i].peer, err.code, err.text);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].peer, err.text);
		assert_int_equal(route.ifindex, -7);
		assert_int_equal(ep_netlink_route(&peer, 0, &route, NULL), cases[i].code);
	}
}

static void
sockaddr_and_address_turn_into_each_other(void **state)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::", "0.0.0.0"};

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(texts); i++) {
		const struct ep_wire_ip ip = ip_of(texts[i]);
		struct sockaddr_storage sa;
		struct ep_wire_ip back;
		uint16_t port;

		assert_int_equal(ep_netlink_sockaddr_set(&sa, &ip, 50000),
			ip.family == EP_WIRE_IPV4 ? sizeof(struct sockaddr_in)
						  : sizeof(struct sockaddr_in6));
		assert_int_equal(ep_netlink_sockaddr_get(&sa, &back, &port), 0);
		assert_ip(&back, texts[i]);
		assert_int_equal(port, 50000);
	}
}

static void
sockaddr_of_a_mapped_address_is_ipv4(void **state)
{
	const struct ep_wire_ip mapped = ip_of("::ffff:192.0.2.1");
	struct sockaddr_storage sa;
	struct ep_wire_ip ip;

	(void)state;
	ep_netlink_sockaddr_set(&sa, &mapped, 1);
	assert_int_equal(ep_netlink_sockaddr_get(&sa, &ip, NULL), 0);
	assert_ip(&ip, "192.0.2.1");
	sa.ss_family = AF_UNIX;
	assert_int_equal(ep_netlink_sockaddr_get(&sa, &ip, NULL), -EAFNOSUPPORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_says_what_the_kernel_knows_of_a_veth),
		cmocka_unit_test(link_knows_loopback_and_defaults_what_it_has_not),
		cmocka_unit_test(link_is_up_only_with_a_carrier),
		cmocka_unit_test(link_counts_the_current_queues_not_the_possible_ones),
		cmocka_unit_test(link_names_the_xdp_program_while_it_is_attached),
		cmocka_unit_test(
			link_keeps_addresses_of_global_scope_first_when_there_are_too_many),
		cmocka_unit_test(link_unknown_is_refused_with_the_names_there_are),
		cmocka_unit_test(ifname_is_the_reverse_of_the_index),
		cmocka_unit_test(stats_count_what_passes),
		cmocka_unit_test(stats_of_an_unknown_index_are_refused),
		cmocka_unit_test(route_finds_the_way_to_a_peer),
		cmocka_unit_test(route_to_ourselves_is_local_and_has_no_mac),
		cmocka_unit_test(route_over_an_interface_without_neighbours_has_no_mac),
		cmocka_unit_test(route_uses_a_neighbour_that_is_known_without_waiting),
		cmocka_unit_test(route_sends_one_empty_datagram_and_only_to_an_unknown_neighbour),
		cmocka_unit_test(route_refuses_with_a_sentence),
		cmocka_unit_test(sockaddr_and_address_turn_into_each_other),
		cmocka_unit_test(sockaddr_of_a_mapped_address_is_ipv4),
		cmocka_unit_test(link_list_of_names_ends_in_dots_when_it_is_too_long),
	};

	return cmocka_run_group_tests_name("netlink", tests, setup, NULL);
}
