#pragma once

/**
 * @file
 * The ports of a LiveKit server, from the text of its YAML configuration, and where it contradicts itself. LiveKit's defaults
 * fill what the file leaves out, so the result is what the server would use. The caller reads the file. No state; any thread.
 *
 *   port                                7880/tcp         HTTP and WebSocket, behind TLS
 *   rtc.tcp_port                        7881/tcp         ICE-TCP
 *   rtc.port_range_start, _end          50000-60000/udp  media, or instead:
 *   rtc.udp_port                        7882/udp         media of all participants over one port, or a few
 *   turn.udp_port, turn.tls_port                         the TURN server in LiveKit, where turn.enabled is true
 *   turn.relay_range_start, _end        30000-40000/udp  its relay addresses
 *
 * Read are the keys above, turn.enabled, turn.domain, turn.external_tls, rtc.allow_tcp_fallback and development; all others are
 * skipped unread. As LiveKit does it, only the first document of a file counts, and `rtc.udp_port` is a number or a text such as
 * "7882-7892" (a list is ignored by LiveKit, which is one of the contradictions).
 *
 * Aliases (*name) are never expanded: one in the place of a value that is read here, and a merge key (<<) beside such a value, are
 * refused; elsewhere they are skipped. So no file can grow in memory.
 */

#include <ep_base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Longest file that is read [B]. */
#define EP_LIVEKIT_FILE_MAX (256u * 1024)
/** Deepest nesting of a file that is read. */
#define EP_LIVEKIT_DEPTH_MAX 32
#define EP_LIVEKIT_DOMAIN_BYTES 256
#define EP_LIVEKIT_CONTRADICTIONS_MAX 24
#define EP_LIVEKIT_SENTENCE_BYTES 256

/** Ports from first to last, both of it; {0, 0} is none. */
struct ep_livekit_range {
	uint16_t first;
	uint16_t last;
};

/** Where media goes over UDP. */
enum ep_livekit_media {
	EP_LIVEKIT_MEDIA_RANGE, /**< A port a peer connection out of `media`. */
	EP_LIVEKIT_MEDIA_MUX,   /**< All over the ports of `media`: one for each CPU, at most. */
	EP_LIVEKIT_MEDIA_ANY, /**< Any free port, since the range has no end: `media` is {0, 0}. */
};

/** The server's ports. */
struct ep_livekit {
	uint16_t port;     /**< TCP, HTTP; never 0. */
	uint16_t tcp_port; /**< TCP, ICE-TCP; 0: off. */
	enum ep_livekit_media media_kind;
	/** UDP ports in use; the range where both are set, as LiveKit decides. */
	struct ep_livekit_range media;
	bool media_given; /**< The file says so; false: a default of LiveKit. */
	bool turn_enabled;
	bool turn_external_tls; /**< TLS ends before LiveKit, at a proxy. */
	uint16_t turn_tls_port; /**< TCP; 0: none. What the file says also when TURN is off. */
	uint16_t turn_udp_port; /**< UDP; 0: none. The same. */
	struct ep_livekit_range turn_relay; /**< UDP. */
	bool turn_relay_given;              /**< The file says so; false: a default of LiveKit. */
	char turn_domain[EP_LIVEKIT_DOMAIN_BYTES]; /**< Name for SNI; "" where there is none. */
	uint32_t contradiction_count;
	/** Sentences, each one saying what contradicts what and what LiveKit does then. */
	char contradiction[EP_LIVEKIT_CONTRADICTIONS_MAX][EP_LIVEKIT_SENTENCE_BYTES];
};

/**
 * Read a configuration.
 *
 * @param text
 *   The file's content, [len] bytes; need not be terminated.
 * @param what
 *   Name of the file, for sentences ("livekit.yaml").
 * @param[out] livekit
 *   Set on success only. A file that contradicts itself is a success: see contradiction_count.
 * @param[out] err
 *   Sentence with the line on failure; may be NULL.
 * @return
 *   0, or -EFBIG (longer than EP_LIVEKIT_FILE_MAX), -EBADMSG (no YAML), -E2BIG (nested too deeply), -EINVAL (nothing in it, no
 *   mapping where there must be one, a key given twice, a value that is no number, no true or false, no text or no range of ports;
 *   the domain too long), -ERANGE (a port above 65535, or 0 where it must be one), -ENOTSUP (an alias or a merge key where a value is needed) or -ENOMEM.
 */
int ep_livekit_parse(const char *text, size_t len, const char *what, struct ep_livekit *livekit,
	struct ep_err *err);
