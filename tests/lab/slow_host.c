/*
 * A host that is nothing but lib/slow, on a tap: the kernel of the namespace is its neighbour. What it finds is told a line at a time.
 *
 *   slow_host TAP MAC GATEWAY ADDRESS/BITS...
 *
 * The clock is the system's. It ends on a signal.
 */

#include <ep_slow.h>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define TICK_NS (50 * EP_NS_PER_MS)

struct host {
	int fd;
	struct ep_slow_stack *stack;
	struct ep_slow_cfg cfg;
	struct ep_wire_ip gateway;
	enum ep_slow_addr_state state[EP_SLOW_ADDRS_MAX];
	int resolved;
	uint8_t mac[6];
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * EP_NS_PER_S + (uint64_t)t.tv_nsec;
}

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static int
tap_open(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die("tap");
	return fd;
}

static void
cfg_read(struct host *h, int argc, char **argv)
{
	struct ep_err err;

	if (argc < 5 || argc - 4 > EP_SLOW_ADDRS_MAX ||
		sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &h->cfg.mac[0], &h->cfg.mac[1],
			&h->cfg.mac[2], &h->cfg.mac[3], &h->cfg.mac[4], &h->cfg.mac[5]) != 6) {
		fprintf(stderr, "usage: slow_host TAP MAC GATEWAY ADDRESS/BITS...\n");
		exit(2);
	}
	for (int i = 4; i < argc; i++) {
		struct ep_slow_addr_cfg *a = &h->cfg.addr[h->cfg.addr_count++];
		char *slash = strchr(argv[i], '/');

		if (slash == NULL)
			die(argv[i]);
		*slash = '\0';
		a->prefix_bits = (uint8_t)strtoul(slash + 1, NULL, 10);
		if (ep_wire_ip_parse(argv[i], &a->ip, &err) < 0)
			die(err.text);
	}
	if (ep_wire_ip_parse(argv[3], &h->gateway, &err) < 0)
		die(err.text);
	if (h->gateway.family == EP_WIRE_IPV6)
		h->cfg.gateway_ipv6 = h->gateway;
	else
		h->cfg.gateway_ipv4 = h->gateway;
}

static void
mac_say(const char *what, const uint8_t mac[6])
{
	printf("%s %02x:%02x:%02x:%02x:%02x:%02x\n", what, mac[0], mac[1], mac[2], mac[3], mac[4],
		mac[5]);
}

static void
addresses_say(struct host *h)
{
	char ip[EP_WIRE_IP_TEXT_BYTES], text[128];
	uint8_t mac[6];

	for (uint32_t i = 0; i < h->cfg.addr_count; i++) {
		const enum ep_slow_addr_state state = ep_slow_stack_addr(h->stack, i, mac);

		if (state == h->state[i])
			continue;
		h->state[i] = state;
		ep_wire_ip_format(ip, sizeof(ip), &h->cfg.addr[i].ip);
		if (state == EP_SLOW_ADDR_OURS)
			printf("ours %s\n", ip);
		snprintf(text, sizeof(text), "taken %s by", ip);
		if (state == EP_SLOW_ADDR_TAKEN)
			mac_say(text, mac);
	}
}

static void
gateway_say(struct host *h, uint64_t now)
{
	uint8_t mac[6] = {0};
	const int ret = ep_slow_stack_resolve(h->stack, &h->gateway, now, mac);

	if (ret != h->resolved && ret != 0)
		printf("gateway %s\n", strerror(-ret));
	if (ret == 0 && (h->resolved != 0 || memcmp(h->mac, mac, 6) != 0)) {
		memcpy(h->mac, mac, 6);
		mac_say("gateway", mac);
	}
	h->resolved = ret;
}

static void
send_frame(const struct host *h, const uint8_t *frame, size_t len)
{
	if (len > 0 && write(h->fd, frame, len) < 0)
		perror("write");
}

static void
turn(struct host *h)
{
	const uint64_t start = now_ns(), due = ep_slow_stack_due_ns(h->stack);
	const uint64_t wait = due <= start ? 0 : due - start < TICK_NS ? due - start : TICK_NS;
	struct pollfd p = {.fd = h->fd, .events = POLLIN};
	uint8_t in[4096], out[EP_SLOW_FRAME_MAX];
	ssize_t len;

	poll(&p, 1, (int)(wait / EP_NS_PER_MS));
	while ((len = read(h->fd, in, sizeof(in))) > 0)
		send_frame(h, out, ep_slow_stack_input(h->stack, in, (size_t)len, now_ns(), out));
	while ((len = (ssize_t)ep_slow_stack_poll(h->stack, now_ns(), out)) > 0)
		send_frame(h, out, (size_t)len);
	addresses_say(h);
	gateway_say(h, now_ns());
}

int
main(int argc, char **argv)
{
	struct host h = {.resolved = 1};
	struct ep_err err;

	setvbuf(stdout, NULL, _IOLBF, 0);
	cfg_read(&h, argc, argv);
	h.fd = tap_open(argv[1]);
	if (ep_slow_stack_create(&h.cfg, now_ns(), &h.stack, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	for (;;)
		turn(&h);
}
