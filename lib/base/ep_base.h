#pragma once

/**
 * @file
 * What every library of everyport shares: one error style and values with units.
 *
 * Free of I/O, clocks and globals. Everything here may be called from any thread on memory of the caller.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Number of elements of an array (not of a pointer). */
#define EP_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define EP_NS_PER_S UINT64_C(1000000000)
#define EP_NS_PER_MS UINT64_C(1000000)

/** What a frame takes on the wire beside itself: preamble 8 B and inter-frame gap 12 B [B]. */
#define EP_WIRE_OVERHEAD_BYTES 20

/** One sentence for the user: what was wrong with which value, and what is allowed. */
struct ep_err {
	int code;       /**< Negative errno; 0 when nothing went wrong. */
	char text[512]; /**< The sentence, without a full stop or newline; cut where too long. */
};

/**
 * Fill @p err and return its code, so that a failure is one line.
 *
 * @param[out] err
 *   Filled; may be NULL.
 * @param code
 *   Negative errno.
 * @param fmt
 *   printf format of the sentence. An argument may be @p err's own text, to put words around it.
 * @return
 *   @p code.
 */
int ep_err_set(struct ep_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** What a rate is a rate of. */
enum ep_rate_kind {
	EP_RATE_PPS, /**< Packets a second. */
	EP_RATE_BPS, /**< Bits a second at layer 1: frame, FCS, preamble and inter-frame gap (L + 20 B). */
	EP_RATE_RATIO, /**< Share of the device's link speed, in [0, 1]. */
	EP_RATE_MAX,   /**< As fast as the device accepts. */
};

/** A rate as the user wrote it. */
struct ep_rate {
	enum ep_rate_kind kind; /**< Which of the values counts. */
	double value;           /**< [packets/s], [bits/s] or [ratio]; 0 for EP_RATE_MAX. */
};

/**
 * Parse a duration: "10s", "1.5s", "1500ms", "250us", "900ns", "2min", "1h". A bare number is refused: its unit is unclear.
 *
 * @param text
 *   The user's text.
 * @param what
 *   Name of the option, for the sentence ("--duration").
 * @param[out] ns
 *   Duration [ns]; set on success only. Always > 0.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (no number, no or unknown unit, zero or negative) or -ERANGE (over 366 days).
 */
int ep_duration_parse(const char *text, const char *what, uint64_t *ns, struct ep_err *err);

/**
 * Parse a rate: "1.5Mpps", "100kpps", "50pps", "2.5Gbps", "100Mbps", "50%" or "max". Capitals do not matter in the unit.
 *
 * @param text
 *   The user's text.
 * @param what
 *   Name of the option, for the sentence.
 * @param[out] rate
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (no number, bare number, unknown unit, zero or negative, over 100 %) or -ERANGE (over 10 Gpps or 10 Tbps).
 */
int ep_rate_parse(const char *text, const char *what, struct ep_rate *rate, struct ep_err *err);

/**
 * Packets a second that a rate means for a mean frame size.
 *
 * @param rate
 *   The rate; not EP_RATE_MAX.
 * @param frame_bytes
 *   Mean frame size with FCS [B].
 * @param link_bps
 *   Link speed [bits/s]; needed for EP_RATE_RATIO only.
 * @return
 *   Rate [packets/s]; 0 when it cannot be said (EP_RATE_MAX, or a ratio of an unknown speed of 0).
 */
double ep_rate_pps(const struct ep_rate *rate, double frame_bytes, double link_bps);

/**
 * Parse a ratio: "0.1%" or "0.001". Allowed range [0, 1].
 *
 * @param text
 *   The user's text.
 * @param what
 *   Name of the option, for the sentence.
 * @param[out] ratio
 *   Ratio in [0, 1]; set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (no number, trailing text) or -ERANGE (outside [0, 1]).
 */
int ep_ratio_parse(const char *text, const char *what, double *ratio, struct ep_err *err);

/**
 * Parse a whole number without unit (a count).
 *
 * @param text
 *   The user's text.
 * @param what
 *   Name of the option, for the sentence.
 * @param min
 *   Smallest value allowed.
 * @param max
 *   Largest value allowed.
 * @param[out] count
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (not a whole decimal number) or -ERANGE (outside [@p min, @p max]).
 */
int ep_count_parse(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *count,
	struct ep_err *err);

/** Largest number of entries in a size pattern. */
#define EP_SIZES_MAX 16

/** Frame sizes in the order in which they are sent, repeated for ever. */
struct ep_sizes {
	uint32_t count;                     /**< Entries used, at least 1. */
	uint16_t frame_bytes[EP_SIZES_MAX]; /**< Frame size with FCS [B]. */
};

/**
 * Parse frame sizes: "64", "64B", "64,200,1256" or "imix" (7 x 64, 4 x 570, 1 x 1518, spread evenly).
 *
 * Bounds are the Ethernet ones: 64 to 9018 B with FCS. Whether a family or a device can carry them is checked elsewhere.
 *
 * @param text
 *   The user's text.
 * @param what
 *   Name of the option, for the sentence.
 * @param[out] sizes
 *   Set on success only.
 * @param[out] err
 *   Sentence on failure; may be NULL.
 * @return
 *   0, or -EINVAL (not a number, empty entry), -ERANGE (outside 64 to 9018) or -E2BIG (more than EP_SIZES_MAX entries).
 */
int ep_sizes_parse(const char *text, const char *what, struct ep_sizes *sizes, struct ep_err *err);

/** Mean frame size with FCS of a pattern [B]. */
double ep_sizes_mean(const struct ep_sizes *sizes);

/**
 * Write bytes that somebody else chose for people: printable ASCII stays, every other byte becomes "?".
 *
 * @param len
 *   Size of @p buf [B], at least 1; what does not fit is cut.
 * @param bytes
 *   [count]
 * @return
 *   @p buf, with NUL.
 */
const char *ep_text_format(char *buf, size_t len, const void *bytes, size_t count);

/** Format a count of packets a second for people: "100 kpps", "1.5 Mpps", four digits. Returns @p buf. */
const char *ep_pps_format(char *buf, size_t len, double pps);

/** Format a duration for people: "10 s", "1.5 s", "250 ms", "31 us", "5 min", four digits. Returns @p buf. */
const char *ep_duration_format(char *buf, size_t len, uint64_t ns);
