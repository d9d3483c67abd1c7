#pragma once

/** @file The subcommands: one file each. Each returns an exit code. */

#include "config.h"

int cmd_loop(struct config *config);
int cmd_serve(struct config *config);
int cmd_tcp(struct config *config);
int cmd_doctor(struct config *config);
int cmd_run(struct config *config);
int cmd_keygen(struct config *config);
