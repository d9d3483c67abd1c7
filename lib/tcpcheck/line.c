#include "tcpcheck_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

/* Messages taken at one event that are no answers to ours. A service that sends more than that is not what it should be. */
#define OTHERS_MAX 64

void
tc_line_open(struct ep_tcpcheck *c, struct tc_line *line, const struct ep_tcpcheck_target *target,
	uint64_t now_ns)
{
	const bool turn = target->check == EP_TCPCHECK_TURN_TLS;
	struct tc_end end;
	int ret;

	line->say = (uint8_t)tc_target_say(target);
	line->port = target->port;
	line->status = EP_TCPCHECK_PENDING;
	line->state = TC_LINE_CONNECTING;
	line->start_ns = now_ns;
	ret = tc_io_open(c, &line->io, TC_LINE, EP_TCPCHECK_TCP, target->port);
	if (ret == 0 && (target->check == EP_TCPCHECK_TLS || turn)) {
		line->tls = tc_tls_new(c, turn ? c->turn_sni : c->sni, !turn);
		ret = line->tls == NULL ? -ENOMEM : 0;
	}
	if (ret == 0)
		return;
	tc_sock_end(line->io.fd, -ret, &end);
	line->status = (uint8_t)end.status;
	line->error = -ret;
	tc_line_close(c, line, true);
}

void
tc_line_close(struct ep_tcpcheck *c, struct tc_line *line, bool abort)
{
	tc_io_close(c, &line->io, abort);
	tc_tls_free(line->tls);
	line->tls = NULL;
	line->state = TC_LINE_DOWN;
}

bool
tc_line_taken(const struct tc_line *line)
{
	return line->io.fd >= 0 && tc_sock_taken(line->io.fd);
}

int
tc_line_say(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	uint8_t buf[TC_SAY_MAX];
	size_t len;
	ssize_t n;

	line->number = ++c->number;
	line->sent_ns = now_ns;
	len = tc_say(c, (enum tc_say)line->say, line->port, line->number, buf);
	if (len == 0)
		return 0;
	if (line->tls != NULL)
		return tc_tls_write(line->tls, line->io.fd, buf, len);
	n = send(line->io.fd, buf, len, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EAGAIN;
}

static enum tc_line_event
line_gone(struct ep_tcpcheck *c, struct tc_line *line, int error)
{
	struct tc_end end;

	tc_sock_end(line->io.fd, error, &end);
	line->fin = error == 0;
	line->error = error;
	line->status = (uint8_t)(error == 0 ? EP_TCPCHECK_RESET : end.status);
	tc_line_close(c, line, false);
	return TC_LINE_GONE;
}

static enum tc_line_event
line_wrong(struct ep_tcpcheck *c, struct tc_line *line, enum ep_tcpcheck_status status)
{
	line->status = (uint8_t)status;
	tc_line_close(c, line, false);
	return TC_LINE_GONE;
}

static enum tc_line_event
line_connect(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	const int ret = tc_sock_connected(line->io.fd);

	if (ret == -EINPROGRESS)
		return TC_LINE_NOTHING;
	if (ret < 0)
		return line_gone(c, line, -ret);
	line->up_ns = now_ns;
	line->state = line->tls != NULL ? TC_LINE_TLS : TC_LINE_UP;
	return line->tls != NULL ? tc_line_take(c, line, now_ns) : TC_LINE_IS_UP;
}

static enum tc_line_event
line_handshake(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	struct tc_end end;

	switch (tc_tls_step(c, line->tls, line->io.fd, &end, NULL)) {
	case TC_TLS_MORE:
		return TC_LINE_NOTHING;
	case TC_TLS_FAILED:
		return line_wrong(c, line, end.status);
	case TC_TLS_DONE:
		break;
	}
	line->up_ns = now_ns;
	line->state = TC_LINE_UP;
	return TC_LINE_IS_UP;
}

/* Look at what is there: in place where it is plain, so that a line needs no buffer. */
static ssize_t
line_peek(struct ep_tcpcheck *c, struct tc_line *line, uint8_t *buf)
{
	ssize_t n;

	if (line->tls != NULL)
		return tc_tls_read(c, line->tls, line->io.fd, buf, TC_ANSWER_MAX);
	n = recv(line->io.fd, buf, TC_ANSWER_MAX, MSG_PEEK);
	return n < 0 ? -errno : n;
}

/* What was peeked at is there, so that taking it cannot fail. */
static void
line_pass(struct tc_line *line, uint8_t *buf, size_t used)
{
	(void)!recv(line->io.fd, buf, used, 0);
}

static enum tc_line_event
line_answered(struct tc_line *line, const struct tc_answer *answer)
{
	line->answered = true;
	line->will_close |= answer->will_close;
	return TC_LINE_ANSWERED;
}

/* The beginning of an answer. What is only peeked at stays; the rest may never come. */
static enum tc_line_event
line_hear_more(struct ep_tcpcheck *c, struct tc_line *line, size_t len)
{
	if (len == TC_ANSWER_MAX)
		return line_wrong(c, line, EP_TCPCHECK_WRONG_PROTOCOL);
	return tc_sock_established(line->io.fd) ? TC_LINE_NOTHING : line_gone(c, line, 0);
}

/* TLS has taken the bytes already, maybe in the middle of an answer. From this peer they come, and that is what a line is about. */
static enum tc_line_event
line_hear_tls(struct ep_tcpcheck *c, struct tc_line *line, const uint8_t *buf, size_t len)
{
	struct tc_answer answer;
	const enum tc_heard heard = tc_hear(c, (enum tc_say)line->say, buf, len, &answer);

	if (heard == TC_HEARD_WRONG && !line->answered)
		return line_wrong(c, line, EP_TCPCHECK_WRONG_PROTOCOL);
	return line_answered(line, &answer);
}

static enum tc_line_event
line_hear(struct ep_tcpcheck *c, struct tc_line *line, bool *again)
{
	uint8_t buf[TC_ANSWER_MAX];
	struct tc_answer answer;
	const ssize_t n = line_peek(c, line, buf);

	*again = false;
	if (n == -EAGAIN || n == -EINTR)
		return TC_LINE_NOTHING;
	if (n <= 0)
		return line_gone(c, line, (int)-n);
	if (line->tls != NULL)
		return line_hear_tls(c, line, buf, (size_t)n);
	switch (tc_hear(c, (enum tc_say)line->say, buf, (size_t)n, &answer)) {
	case TC_HEARD_MORE:
		return line_hear_more(c, line, (size_t)n);
	case TC_HEARD_WRONG:
		return line_wrong(c, line, EP_TCPCHECK_WRONG_PROTOCOL);
	case TC_HEARD_OTHER:
		line_pass(line, buf, answer.used);
		*again = true;
		return TC_LINE_NOTHING;
	case TC_HEARD_ANSWER:
		break;
	}
	line_pass(line, buf, answer.used);
	return line_answered(line, &answer);
}

enum tc_line_event
tc_line_take(struct ep_tcpcheck *c, struct tc_line *line, uint64_t now_ns)
{
	enum tc_line_event event = TC_LINE_NOTHING;
	bool again = true;

	switch ((enum tc_line_state)line->state) {
	case TC_LINE_DOWN:
		return TC_LINE_NOTHING;
	case TC_LINE_CONNECTING:
		return line_connect(c, line, now_ns);
	case TC_LINE_TLS:
		return line_handshake(c, line, now_ns);
	case TC_LINE_UP:
		break;
	}
	for (int n = 0; n < OTHERS_MAX; n++) {
		event = line_hear(c, line, &again);
		if (!again)
			return event;
	}
	return line_wrong(c, line, EP_TCPCHECK_WRONG_PROTOCOL);
}
