#pragma once

/** Folder with the seeds of the fuzz test. */
extern const char *const livekit_corpus_dir;
