#pragma once

/** Folder with the fuzz corpus. */
extern const char *const ctrl_corpus_dir;

/** docs/control-protocol.md. */
extern const char *const ctrl_doc_path;
