/*
 * The bare minimum on net_af_xdp, to compare with. No sequence, no time, no schedule, no account.
 *
 *   ep_bare_xdp INTERFACE CPU SECONDS          one frame, written once, sent again and again as fast as the driver takes it
 *   ep_bare_xdp INTERFACE CPU SECONDS forward  what arrives is sent back with its MAC addresses turned round, as l2fwd does
 *
 * Prints the packets a second that the driver took [Mpps].
 */

#include <ep_engine.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BURST 32
#define RING_DESCS 1024
#define POOL_MBUFS 16384
#define FRAME_BYTES 60
#define PREFETCH 4
#define EXIT_USAGE 2
#define EXIT_ENVIRONMENT 3

/* 198.18.0.1 to 198.18.0.2, UDP 20000 to 50000, no checksum; to the MAC address of ep_bench's far end. */
static const uint8_t frame[FRAME_BYTES] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45, 0, 0, 46,
	0, 0, 0x40, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, 0x4e, 0x20, 0xc3, 0x50, 0, 26};

static int
eal_start(const char *interface, const char *cpu)
{
	char vdev[64], lcores[16];
	const char *const args[] = {"ep_bare_xdp", "--no-huge", "--no-shconf", "-m", "256",
		"--no-pci", "--no-telemetry", "--iova-mode=va", "--log-level=*:warning", "--lcores",
		lcores, "--vdev", vdev};
	char *argv[RTE_DIM(args)];

	snprintf(vdev, sizeof(vdev), "net_af_xdp0,iface=%s", interface);
	snprintf(lcores, sizeof(lcores), "0@%s", cpu);
	for (size_t i = 0; i < RTE_DIM(args); i++)
		argv[i] = strdup(args[i]);
	return rte_eal_init(RTE_DIM(args), argv);
}

static int
port_start(struct rte_mempool *pool)
{
	const struct rte_eth_conf conf = {0};
	int ret = rte_eth_dev_configure(0, 1, 1, &conf);

	if (ret == 0)
		ret = rte_eth_rx_queue_setup(0, 0, RING_DESCS, 0, NULL, pool);
	if (ret == 0)
		ret = rte_eth_tx_queue_setup(0, 0, RING_DESCS, 0, NULL);
	return ret == 0 ? rte_eth_dev_start(0) : ret;
}

static void
frame_write(struct rte_mempool *pool, void *arg, void *mbuf, unsigned int index)
{
	(void)pool;
	(void)arg;
	(void)index;
	memcpy(rte_pktmbuf_mtod_offset((struct rte_mbuf *)mbuf, void *, 0), frame, sizeof(frame));
}

static uint64_t
send_until(struct rte_mempool *pool, uint64_t end_cycles)
{
	struct rte_mbuf *mbuf[BURST];
	uint64_t sent = 0;
	uint16_t held = 0;

	while (rte_rdtsc() < end_cycles) {
		uint16_t n;

		if (held == 0 && rte_pktmbuf_alloc_bulk(pool, mbuf, BURST) == 0) {
			held = BURST;
			for (int i = 0; i < BURST; i++) {
				mbuf[i]->data_len = FRAME_BYTES;
				mbuf[i]->pkt_len = FRAME_BYTES;
			}
		}
		n = rte_eth_tx_burst(0, 0, mbuf, held);
		sent += n;
		held = (uint16_t)(held - n);
		memmove(mbuf, &mbuf[n], held * sizeof(*mbuf));
	}
	rte_pktmbuf_free_bulk(mbuf, held);
	return sent;
}

static void
macs_turn(struct rte_mbuf *mbuf)
{
	struct rte_ether_hdr *eth = rte_pktmbuf_mtod(mbuf, struct rte_ether_hdr *);
	const struct rte_ether_addr dst = eth->dst_addr;

	eth->dst_addr = eth->src_addr;
	eth->src_addr = dst;
}

/* What the driver does not take at once is dropped, as l2fwd does. */
static uint64_t
forward_until(struct rte_mempool *pool, uint64_t end_cycles)
{
	struct rte_mbuf *mbuf[BURST];
	uint64_t sent = 0;

	(void)pool;
	while (rte_rdtsc() < end_cycles) {
		const uint16_t n = rte_eth_rx_burst(0, 0, mbuf, BURST);
		uint16_t taken;

		for (uint16_t i = 0; i < n && i < PREFETCH; i++)
			rte_prefetch0(rte_pktmbuf_mtod(mbuf[i], void *));
		for (uint16_t i = 0; i < n; i++) {
			if (i + PREFETCH < n)
				rte_prefetch0(rte_pktmbuf_mtod(mbuf[i + PREFETCH], void *));
			macs_turn(mbuf[i]);
		}
		if (n == 0)
			continue;
		taken = rte_eth_tx_burst(0, 0, mbuf, n);
		sent += taken;
		rte_pktmbuf_free_bulk(&mbuf[taken], (unsigned int)(n - taken));
	}
	return sent;
}

int
main(int argc, char **argv)
{
	const bool forwards = argc == 5 && strcmp(argv[4], "forward") == 0;
	const double seconds = argc == 4 || forwards ? strtod(argv[3], NULL) : 0;
	uint64_t (*const run)(struct rte_mempool *, uint64_t) =
		forwards ? forward_until : send_until;
	struct ep_engine_clock clock;
	struct rte_mempool *pool;
	uint64_t sent;

	if (seconds <= 0) {
		fprintf(stderr, "usage: ep_bare_xdp INTERFACE CPU SECONDS [forward]\n");
		return EXIT_USAGE;
	}
	if (eal_start(argv[1], argv[2]) < 0) {
		fprintf(stderr, "ep_bare_xdp: DPDK does not start on '%s'\n", argv[1]);
		return EXIT_ENVIRONMENT;
	}
	pool = rte_pktmbuf_pool_create("bare", POOL_MBUFS, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	if (pool == NULL || port_start(pool) < 0) {
		fprintf(stderr, "ep_bare_xdp: '%s' does not start\n", argv[1]);
		return EXIT_ENVIRONMENT;
	}
	rte_mempool_obj_iter(pool, frame_write, NULL);
	ep_engine_clock_calibrate(&clock);
	run(pool, rte_rdtsc() + (uint64_t)(clock.hz / 5));
	sent = run(pool, rte_rdtsc() + (uint64_t)(clock.hz * seconds));
	printf("%.4f\n", (double)sent / seconds / 1e6);
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return EXIT_SUCCESS;
}
