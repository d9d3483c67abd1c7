#pragma once

/** Folders with the seeds of the fuzz tests. */
extern const char *const stun_corpus_dir, *const stun_framed_corpus_dir,
						  *const stun_bare_corpus_dir;
