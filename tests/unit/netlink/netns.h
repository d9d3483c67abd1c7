#pragma once

/**
 * @file
 * Private network namespaces for tests of the kernel libraries. They need root: a failed step ends the program
 * with a sentence, so that a run without root is seen as failed, not as passed. Nothing outside the namespaces is
 * touched; they vanish with the process.
 */

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/** Most words of a command of netns_run(). */
#define NETNS_WORDS_MAX 32

static inline void
netns_die(const char *what)
{
	perror(what);
	fprintf(stderr, "these tests need root (network namespaces) and iproute2 and nft\n");
	exit(1);
}

/** Run a command of words without quotes, as "ip link add ..."; it has to succeed. */
static inline void
netns_run(const char *command)
{
	char text[512], *save = NULL, *argv[NETNS_WORDS_MAX + 1] = {NULL};
	int argc = 0, status = 0;
	pid_t pid;

	snprintf(text, sizeof(text), "%s", command);
	for (char *w = strtok_r(text, " ", &save); w != NULL && argc < NETNS_WORDS_MAX;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	pid = fork();
	if (pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		netns_die(command);
}

/** Move this process into a new network namespace with loopback up. @return a descriptor of it. */
static inline int
netns_enter_new(void)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		netns_die("unshare(CLONE_NEWNET)");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		netns_die("/proc/self/ns/net");
	netns_run("ip link set lo up");
	return fd;
}

/** Move this process into a namespace of netns_enter_new(). */
static inline void
netns_enter(int fd)
{
	if (setns(fd, CLONE_NEWNET) < 0)
		netns_die("setns");
}
