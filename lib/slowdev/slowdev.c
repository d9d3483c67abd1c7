#include "ep_slowdev.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames that wait between two looks of the main thread; a flood beyond them is dropped. */
#define RING_FRAMES 512
#define BURST 32
/* Bursts at one look: bounded, so that a flood does not keep the main thread. */
#define BURSTS_MAX 16

struct ep_slowdev {
	struct ep_dev *dev;
	struct ep_dev_info info;
	struct ep_slow_stack *stack;
	struct rte_ring *rx;
	struct rte_ring *tx;
	const struct ep_slow_match *match;
	struct ep_slow_icmp *account;
	struct ep_err warning;
};

static struct rte_ring *
ring_create(const struct ep_slowdev *s, const char *way)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "ep_slow%u_%s", s->info.port_id, way);
	/* Frames come in from any worker and are taken by one thread; frames out have one of each. */
	return rte_ring_create(name, RING_FRAMES, s->info.socket_id, RING_F_SC_DEQ);
}

static void
groups_join(struct ep_slowdev *s, const struct ep_slow_cfg *cfg)
{
	struct ep_wire_ip ip[EP_ARRAY_LEN(cfg->addr)];

	for (uint32_t i = 0; i < cfg->addr_count; i++)
		ip[i] = cfg->addr[i].ip;
	ep_dev_hear_neighbours(s->dev, ip, cfg->addr_count, &s->warning);
}

int
ep_slowdev_create(struct ep_dev *dev, struct ep_slow_cfg *cfg, uint64_t now_ns,
	struct ep_slowdev **out, struct ep_err *err)
{
	struct ep_slowdev *s = calloc(1, sizeof(*s));
	int ret;

	if (s == NULL)
		return ep_err_set(err, -ENOMEM, "no memory for the slow path");
	s->dev = dev;
	ep_dev_info(dev, &s->info);
	ep_dev_host_mac(dev, cfg->mac);
	ret = ep_slow_stack_create(cfg, now_ns, &s->stack, err);
	if (ret < 0)
		goto fail;
	s->rx = ring_create(s, "rx");
	s->tx = ring_create(s, "tx");
	if (s->rx == NULL || s->tx == NULL) {
		ret = ep_err_set(err, -ENOMEM, "--dev %s: no memory for the slow path's rings",
			s->info.name);
		goto fail;
	}
	groups_join(s, cfg);
	*out = s;
	return 0;

fail:
	ep_slowdev_destroy(s);
	return ret;
}

static void
ring_free(struct rte_ring *ring)
{
	void *mbuf;

	while (ring != NULL && rte_ring_dequeue(ring, &mbuf) == 0)
		rte_pktmbuf_free(mbuf);
	rte_ring_free(ring);
}

void
ep_slowdev_destroy(struct ep_slowdev *s)
{
	if (s == NULL)
		return;
	ring_free(s->rx);
	ring_free(s->tx);
	ep_slow_stack_destroy(s->stack);
	free(s);
}

struct ep_slow_stack *
ep_slowdev_stack(struct ep_slowdev *s)
{
	return s->stack;
}

const char *
ep_slowdev_warning(const struct ep_slowdev *s)
{
	return s->warning.text;
}

void
ep_slowdev_rings(struct ep_slowdev *s, struct rte_ring **slow_rx, struct rte_ring **slow_tx)
{
	*slow_rx = s->rx;
	*slow_tx = s->tx;
}

void
ep_slowdev_errors(
	struct ep_slowdev *s, const struct ep_slow_match *match, struct ep_slow_icmp *account)
{
	s->match = match;
	s->account = account;
}

/* Into the ring; who empties it is a worker, or ep_slowdev_run_alone(). */
static void
frame_send(struct ep_slowdev *s, const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m;
	char *room;

	if (len == 0)
		return;
	m = rte_pktmbuf_alloc(ep_dev_pool(s->dev, 0));
	if (m == NULL)
		return;
	room = rte_pktmbuf_append(m, (uint16_t)len);
	if (room != NULL)
		memcpy(room, frame, len);
	if (room == NULL || rte_ring_enqueue(s->tx, m) != 0)
		rte_pktmbuf_free(m);
}

static void
error_count(struct ep_slowdev *s, const uint8_t *frame, size_t len)
{
	struct ep_slow_quote quote;
	const uint8_t *ip;
	size_t ip_len;

	if (s->match == NULL)
		return;
	ip = ep_slow_stack_ip(s->stack, frame, len, &ip_len);
	if (ip != NULL)
		ep_slow_icmp_push(s->account, ep_slow_quote(s->match, ip, ip_len, &quote), &quote);
}

static void
frames_take(struct ep_slowdev *s, struct rte_mbuf **mbuf, unsigned int count, uint64_t now_ns)
{
	uint8_t out[EP_SLOW_FRAME_MAX];

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *frame = rte_pktmbuf_mtod(mbuf[i], const uint8_t *);

		if (mbuf[i]->nb_segs == 1) {
			error_count(s, frame, mbuf[i]->data_len);
			frame_send(s, out,
				ep_slow_stack_input(
					s->stack, frame, mbuf[i]->data_len, now_ns, out));
		}
		rte_pktmbuf_free(mbuf[i]);
	}
}

static void
stack_say(struct ep_slowdev *s, uint64_t now_ns)
{
	uint8_t out[EP_SLOW_FRAME_MAX];
	size_t len;

	while ((len = ep_slow_stack_poll(s->stack, now_ns, out)) > 0)
		frame_send(s, out, len);
}

void
ep_slowdev_run(struct ep_slowdev *s, uint64_t now_ns)
{
	struct rte_mbuf *mbuf[BURST];
	unsigned int n = BURST;

	for (int i = 0; i < BURSTS_MAX && n == BURST; i++) {
		n = rte_ring_dequeue_burst(s->rx, (void **)mbuf, BURST, NULL);
		frames_take(s, mbuf, n, now_ns);
	}
	stack_say(s, now_ns);
}

void
ep_slowdev_run_alone(struct ep_slowdev *s, uint64_t now_ns)
{
	struct rte_mbuf *mbuf[BURST];
	unsigned int n;

	ep_slowdev_run(s, now_ns); /* what a worker left */
	for (uint16_t q = 0; q < s->info.queue_pairs; q++) {
		n = BURST;
		for (int i = 0; i < BURSTS_MAX && n == BURST; i++) {
			n = rte_eth_rx_burst(s->info.port_id, q, mbuf, BURST);
			frames_take(s, mbuf, n, now_ns);
		}
	}
	while ((n = rte_ring_dequeue_burst(s->tx, (void **)mbuf, BURST, NULL)) > 0) {
		const uint16_t sent = rte_eth_tx_burst(s->info.port_id, 0, mbuf, (uint16_t)n);

		rte_pktmbuf_free_bulk(mbuf + sent, n - sent);
	}
}
