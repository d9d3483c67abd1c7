#pragma once

/** @file Files of the source tree. */

extern const char *const slow_frame_corpus_dir, *const slow_error_corpus_dir,
							*const slow_golden_path;
