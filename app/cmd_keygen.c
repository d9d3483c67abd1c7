#include "cmd.h"

#include <ep_xport.h>

#include <stdio.h>

int
cmd_keygen(struct config *config)
{
	char text[45];

	(void)config;
	if (ep_xport_keygen(text) < 0) {
		fprintf(stderr, "everyport keygen: the system gave no random numbers\n");
		return EXIT_ENVIRONMENT;
	}
	if (printf("%s\n", text) < 0 || fflush(stdout) != 0) {
		fprintf(stderr, "everyport keygen: stdout cannot be written\n");
		return EXIT_ENVIRONMENT;
	}
	return EXIT_PASS;
}
