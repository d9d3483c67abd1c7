#include "ep_http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Whether a text can stand in a line of a request without ending a word or the line. */
static bool
is_one_word(const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7F)
			return false;
	return *text != '\0';
}

int
ep_http_get(
	char *buf, size_t size, const char *host, uint16_t port, const char *target, size_t *len)
{
	const bool bare_ipv6 = strchr(host, ':') != NULL && host[0] != '[';
	char port_text[8] = "";
	int ret;

	if (!is_one_word(host) || !is_one_word(target) || target[0] != '/')
		return -EINVAL;
	if (port != 0)
		snprintf(port_text, sizeof(port_text), ":%u", port);
	ret = snprintf(buf, size,
		"GET %s HTTP/1.1\r\nHost: %s%s%s%s\r\nUser-Agent: everyport\r\nAccept: */*\r\n"
		"Connection: close\r\n\r\n",
		target, bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "", port_text);
	if (ret < 0 || (size_t)ret >= size)
		return -EMSGSIZE;
	*len = (size_t)ret;
	return 0;
}

static const char *
reason_of(uint16_t status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	default:
		return "";
	}
}

int
ep_http_response(char *buf, size_t size, uint16_t status, const char *body, size_t *len)
{
	int ret;

	if (status < 200 || status > 999)
		return -EINVAL;
	ret = snprintf(buf, size,
		"HTTP/1.1 %u %s\r\nServer: everyport\r\nContent-Type: text/plain\r\n"
		"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
		status, reason_of(status), strlen(body), body);
	if (ret < 0 || (size_t)ret >= size)
		return -EMSGSIZE;
	*len = (size_t)ret;
	return 0;
}
