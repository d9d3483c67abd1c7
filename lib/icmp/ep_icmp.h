#pragma once

/**
 * @file
 * ICMP errors that arrive at a kernel interface, read beside the kernel.
 *
 * A packet socket, not a raw ICMP socket: probes leave by AF_XDP or a packet socket, so the kernel's connection tracking has never
 * seen them, takes an error about them for invalid, and a firewall on this host that drops what is invalid (ufw's default) would
 * drop it before a raw socket sees it. A packet socket is in front of that. The kernel handles the packets as before.
 *
 * Whose packet an error quotes is not looked at here (ep_slow_quote()). Non-blocking; one thread per object; needs
 * CAP_NET_RAW.
 */

#include <ep_base.h>
#include <ep_wire.h>

#include <stddef.h>
#include <stdint.h>

/** Buffer that takes any packet of an Ethernet interface. */
#define EP_ICMP_PACKET_MAX 9216

/** An open socket. Opaque. */
struct ep_icmp;

/**
 * Begin to read. What arrived before is not seen.
 *
 * @param ifindex
 *   Interface.
 * @param family
 *   Which ICMP.
 * @param[out] out
 *   Set on success only; to be closed with ep_icmp_close().
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, -ENOMEM, or -errno of the socket (-EPERM without CAP_NET_RAW).
 */
int ep_icmp_open(int ifindex, enum ep_wire_family family, struct ep_icmp **out, struct ep_err *err);

/** Accepts NULL. */
void ep_icmp_close(struct ep_icmp *icmp);

/**
 * Take the next packet: IPv4 with an ICMP error, or IPv6 with one or with an extension header, from the IP header on.
 *
 * @param[out] packet
 *   [size] Filled; a longer packet is cut.
 * @return
 *   Its length [B], at most @p size; 0 when there is none.
 */
size_t ep_icmp_take(struct ep_icmp *icmp, uint8_t *packet, size_t size);

/** Packets that the kernel dropped since the last call, because they were not taken in time. */
uint64_t ep_icmp_missed(struct ep_icmp *icmp);
