#pragma once

/** @file Options as a table: one row an option, used for parsing, for --help and for the checks of the documents. */

#include "config.h"

/** A subcommand. */
struct command {
	const char *name;
	const char *summary;  /**< One line. */
	const char *synopsis; /**< After the name. */
	const char *text;     /**< More, for --help. */
	int (*run)(struct config *config);
	unsigned int bit;    /**< Which options it takes: see opt.c. */
	const char *operand; /**< Name of the one word that is no option; NULL: none. */
};

#define COMMAND_LOOP 1u
#define COMMAND_SERVE 2u
#define COMMAND_RUN 4u
#define COMMAND_KEYGEN 8u
#define COMMAND_TCP 16u
#define COMMAND_DOCTOR 32u

/**
 * Parse the arguments behind the subcommand.
 *
 * @return
 *   0 to go on; 1 when --help was printed; -EINVAL, -ERANGE, -ENOMEM with a sentence.
 */
int opt_parse(const struct command *command, int argc, char **argv, struct config *config,
	struct ep_err *err);

/** The options that a command has before any is given. @return 0 or -ENOMEM; config_fini() in both cases. */
int opt_defaults(struct config *config, const char *command, unsigned int bit, struct ep_err *err);

/** Print --help of a subcommand to stdout. */
void opt_help(const struct command *command);
