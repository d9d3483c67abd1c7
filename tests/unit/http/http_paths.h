#pragma once

/** Folders with the seeds of the fuzz tests. */
extern const char *const http_response_corpus_dir, *const http_request_corpus_dir;
