#include "cmd.h"
#include "opt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const char loop_text[] = "Both ends in one process. Without --dev an in-memory pair, which "
				"needs no root, no huge pages and no NIC; with two --dev\n"
				"the device under test lies between them.\n";
static const char serve_text[] = "The responder: waits for an initiator with the same key, "
				 "receives, answers, reports. Outside a session it sleeps and\n"
				 "leaves every packet to the kernel. Its options are limits: what "
				 "goes beyond them is refused.\n";
static const char run_text[] = "The initiator: TCP check, sweep of every port, load, TCP check "
			       "under load, report and verdict. Exit codes: 0 pass,\n"
			       "1 a criterion is not met, 2 usage, 3 environment, 4 peer or "
			       "control connection, 5 the measurement is invalid,\n"
			       "6 interrupted.\n";
static const char tcp_text[] =
	"The TCP and UDP ports that WebRTC falls back to where media over UDP is blocked: connect, "
	"HTTP, TLS, TURN and ICE-TCP. Needs no\n"
	"everyport on the far side, no root and no device. Of a name with several addresses the "
	"first that "
	"connects is checked.\n"
	"Exit codes as of run; 1: a required "
	"port "
	"is not open.\n";
static const char doctor_text[] =
	"Can this host run it, how fast, and what to change: each finding is OK, warn or stop, "
	"with one "
	"sentence and the command that\n"
	"mends it. Nothing is changed without --fix, and then only the number of huge pages. At "
	"the end "
	"the tester's own ceiling is\n"
	"measured, over the in-memory pair or, with --dev, over a veth pair in a network namespace "
	"of its "
	"own, and kept for later results.\n"
	"Exit codes: 0, or 3 when a finding says stop; 2 usage; 6 interrupted.\n";
static const char keygen_text[] =
	"Print a new 256-bit session key, base64. Keep it in a file of mode 0600 on both hosts.\n";

static const struct command commands[] = {
	{"loop", "both ends in one process, over an in-memory pair or two devices", "[options]",
		loop_text, cmd_loop, COMMAND_LOOP, NULL},
	{"serve", "the responder: waits for an initiator with the right key",
		"--dev DEV --key-file F [options]", serve_text, cmd_serve, COMMAND_SERVE, NULL},
	{"run", "the initiator: measure the way to a responder",
		"--peer HOST --dev DEV --key-file F [options]", run_text, cmd_run, COMMAND_RUN,
		NULL},
	{"tcp", "the fallback check alone: TCP 80, 443, 7881, UDP 443", "HOST [options]", tcp_text,
		cmd_tcp, COMMAND_TCP, "HOST"},
	{"doctor", "can this host run it, how fast, and what to change", "[options]", doctor_text,
		cmd_doctor, COMMAND_DOCTOR, NULL},
	{"keygen", "print a new session key", "", keygen_text, cmd_keygen, COMMAND_KEYGEN, NULL},
};

/** Commands of the design that this version does not have. */
static const char *const later[] = {"nat", "search", "report"};

static void
usage(FILE *to)
{
	fprintf(to,
		"everyport %s: every UDP port of a range, every packet accounted for\n\n"
		"usage: everyport COMMAND [options]\n\n",
		EVERYPORT_VERSION);
	for (size_t i = 0; i < EP_ARRAY_LEN(commands); i++)
		fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(to,
		"\neveryport COMMAND --help tells the options of a command; everyport --version "
		"the version.\n");
}

static int
unknown(const char *name)
{
	for (size_t i = 0; i < EP_ARRAY_LEN(later); i++) {
		if (strcmp(name, later[i]) == 0) {
			fprintf(stderr,
				"everyport: %s is not in this version; there are loop, serve, run, "
				"tcp, doctor and keygen\n",
				name);
			return EXIT_USAGE;
		}
	}
	fprintf(stderr,
		"everyport: unknown command %s; there are loop, serve, run, tcp, doctor and "
		"keygen\n",
		name);
	return EXIT_USAGE;
}

static int
dispatch(const struct command *command, int argc, char **argv)
{
	struct ep_err err = {0};
	struct config config;
	int ret = opt_parse(command, argc, argv, &config, &err);

	if (ret < 0)
		fprintf(stderr, "everyport %s: %s\n", command->name,
			err.text[0] != '\0' ? err.text : strerror(-ret));
	if (ret == 0)
		ret = command->run(&config);
	else
		ret = ret < 0 ? EXIT_USAGE : EXIT_PASS;
	config_fini(&config);
	return ret;
}

int
main(int argc, char **argv)
{
	/* A peer that goes away is an error to be handled, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
		strcmp(argv[1], "help") == 0) {
		usage(stdout);
		return EXIT_PASS;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("everyport %s\n", EVERYPORT_VERSION);
		return EXIT_PASS;
	}
	for (size_t i = 0; i < EP_ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return dispatch(&commands[i], argc - 2, argv + 2);
	return unknown(argv[1]);
}
