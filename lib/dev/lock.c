/*
 * One everyport an interface. The lock is the name of an abstract socket: it belongs to the network namespace as
 * the interface index does, and the kernel drops it with its holder, however that ends.
 */

#include "dev_priv.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
dev_lock_take(int ifindex)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const int len =
		snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "everyport/%d", ifindex);
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&addr,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0)
		return fd;
	ret = errno == EADDRINUSE ? -EBUSY : -errno;
	close(fd);
	return ret;
}
