/* The ports[] table, RFC 4180; of the fallback check alone the tcp[] table. */

#include "report_priv.h"

#include <inttypes.h>

/* A count, or an empty field where it is not known. */
static void
csv_count(struct report_buf *b, bool known, uint64_t count)
{
	if (known)
		report_printf(b, ",%" PRIu64, count);
	else
		report_append(b, ",", 1);
}

static void
csv_row(struct report_buf *b, const struct ep_result *r, uint32_t index, enum ep_result_dir dir)
{
	const struct ep_result_port_dir *p = &r->port[index].dir[dir];
	const bool sender = r->ledger[dir].sender_known, receiver = r->ledger[dir].receiver_known;

	report_printf(b, "%u,%s", r->range->port[index], ep_result_dir_name(dir));
	csv_count(b, sender, p->sent);
	csv_count(b, receiver, p->received);
	csv_count(b, sender && receiver, p->lost);
	csv_count(b, receiver, p->duplicates);
	csv_count(b, receiver, p->reordered);
	csv_count(b, receiver, p->late);
	report_printf(b, ",%s\r\n", ep_result_port_verdict_name(p->verdict));
}

int
ep_report_csv(const struct ep_result *r, char **text)
{
	struct report_buf b = {0};

	if (report_is_tcp(r)) {
		report_tcp_csv(&b, r);
		return report_finish(&b, text);
	}
	report_printf(
		&b, "port,direction,sent,received,lost,duplicates,reordered,late,verdict\r\n");
	for (uint32_t i = 0; i < r->range->port_count; i++) {
		csv_row(&b, r, i, EP_RESULT_UP);
		csv_row(&b, r, i, EP_RESULT_DOWN);
	}
	return report_finish(&b, text);
}
