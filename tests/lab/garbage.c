/* Send frames at a responder that are almost probes, or nothing like them:
 *
 *   garbage INTERFACE DESTINATION_MAC DESTINATION_IP FIRST_PORT PORTS COUNT RATE_PPS SEED
 *
 * Half have the shape of a probe with random fields (their tags are wrong but for one in 2^32); a quarter have random payload of
 * random length; the rest have flipped header bytes or are random behind the Ethernet header. From an address that nobody has, so
 * that an answer can be told. Prints how many the kernel took. */

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 32
#define FRAME_MAX 256
#define SOURCE "198.18.1.77"

/** What is sent, and where. */
struct target {
	int ifindex;
	uint8_t mac[6];
	uint8_t ip[4];
	uint16_t first_port;
	uint32_t ports;
};

static uint64_t
random_next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void
put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
random_fill(uint8_t *p, size_t len, uint64_t *x)
{
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)random_next(x);
}

static void
ip_checksum(uint8_t *ip)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~sum);
}

/* A valid frame with a UDP payload of payload_bytes; UDP checksum 0, which IPv4 allows. */
static size_t
frame_make(uint8_t *f, const struct target *t, size_t payload_bytes, uint64_t *x)
{
	uint8_t *ip = f + 14, *udp = f + 34;

	memset(f, 0, 42);
	memcpy(f, t->mac, 6);
	f[6] = 2;
	put16(f + 12, 0x0800);
	ip[0] = 0x45;
	put16(ip + 2, (uint32_t)(28 + payload_bytes));
	ip[8] = 64;
	ip[9] = 17;
	inet_pton(AF_INET, SOURCE, ip + 12);
	memcpy(ip + 16, t->ip, 4);
	ip_checksum(ip);
	put16(udp, (uint32_t)(1024 + random_next(x) % 60000));
	put16(udp + 2, (uint32_t)(t->first_port + random_next(x) % t->ports));
	put16(udp + 4, (uint32_t)(8 + payload_bytes));
	return 42 + payload_bytes;
}

static size_t
frame_next(uint8_t *f, const struct target *t, uint64_t *x)
{
	const uint64_t kind = random_next(x) % 8;
	size_t len;

	if (kind < 4) {
		len = frame_make(f, t, 18, x);
		random_fill(f + 42, 18, x);
		f[42] = 0x80;
		f[43] = (uint8_t)(96 + random_next(x) % 3);
		/* A flow that exists, most often. */
		put16(f + 50, 0);
		put16(f + 52, (uint32_t)(random_next(x) % t->ports));
		return len;
	}
	len = frame_make(f, t, random_next(x) % (FRAME_MAX - 42), x);
	random_fill(f + 42, len - 42, x);
	if (kind == 6)
		f[14 + random_next(x) % 28] ^= (uint8_t)(1u << random_next(x) % 8);
	if (kind == 7)
		random_fill(f + 14, len - 14, x);
	return len;
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Send count frames, never more than the rate allows so far. Returns how many the kernel took. */
static unsigned long
send_all(int fd, const struct target *t, unsigned long count, double rate_pps, uint64_t x)
{
	static uint8_t frame[BATCH][FRAME_MAX];
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = t->ifindex, .sll_halen = 6};
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	const double start_s = now_s();
	unsigned long sent = 0;

	while (sent < count) {
		const struct timespec pause = {.tv_nsec = 50000};
		int n;

		if ((double)sent > (now_s() - start_s) * rate_pps) {
			nanosleep(&pause, NULL);
			continue;
		}
		memset(msg, 0, sizeof(msg));
		for (int i = 0; i < BATCH; i++) {
			iov[i].iov_base = frame[i];
			iov[i].iov_len = frame_next(frame[i], t, &x);
			msg[i].msg_hdr.msg_iov = &iov[i];
			msg[i].msg_hdr.msg_iovlen = 1;
			msg[i].msg_hdr.msg_name = &to;
			msg[i].msg_hdr.msg_namelen = sizeof(to);
		}
		n = sendmmsg(fd, msg, BATCH, 0);
		if (n > 0)
			sent += (unsigned long)n;
	}
	return sent;
}

int
main(int argc, char **argv)
{
	struct target t = {0};
	const struct ether_addr *mac;
	unsigned long sent;
	int fd;

	if (argc != 9) {
		fprintf(stderr,
			"usage: garbage INTERFACE MAC IP FIRST_PORT PORTS COUNT RATE_PPS SEED\n");
		return 2;
	}
	mac = ether_aton(argv[2]);
	t.ifindex = (int)if_nametoindex(argv[1]);
	if (t.ifindex == 0 || mac == NULL || inet_pton(AF_INET, argv[3], t.ip) != 1) {
		fprintf(stderr, "garbage: %s, %s or %s is not there\n", argv[1], argv[2], argv[3]);
		return 2;
	}
	memcpy(t.mac, mac->ether_addr_octet, 6);
	t.first_port = (uint16_t)strtoul(argv[4], NULL, 10);
	t.ports = (uint32_t)strtoul(argv[5], NULL, 10);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || t.ports == 0) {
		perror("garbage: packet socket");
		return 3;
	}
	sent = send_all(fd, &t, strtoul(argv[6], NULL, 10), strtod(argv[7], NULL),
		strtoull(argv[8], NULL, 10) * 2654435761u + 1);
	printf("%lu\n", sent);
	return 0;
}
