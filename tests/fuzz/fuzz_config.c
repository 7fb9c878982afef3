/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a config.json: parsed, decoded, checked and written out again.
 * Beyond not crashing: a refusal says where and why, and what was written
 * parses to the same text.
 */
#include "hako/config.h"
#include "hako/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool holds, const char *what, const char *text)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s\n", what, text);
	abort();
}

static void
require_explained(const struct error *e)
{
	require(e->id[0] != '\0' && e->msg[0] != '\0', "no reason", e->at);
	require(strncmp(e->at, "config.json:", 12) == 0, "no place", e->msg);
	require(utf8_valid_length(e->at, strlen(e->at)) == strlen(e->at), "place", e->at);
	require(utf8_valid_length(e->msg, strlen(e->msg)) == strlen(e->msg), "message", e->msg);
}

static const char *
write_out(struct arena *arena, const struct json *root, enum json_style style)
{
	struct json_writer *w = json_writer_new(style);
	const char *text;

	json_put_json(w, NULL, root);
	text = arena_strdup(arena, json_writer_text(w, NULL));
	json_writer_free(w);
	return text;
}

static void
require_round_trip(struct arena *arena, const struct json *root, enum json_style style)
{
	const char *text = write_out(arena, root, style);
	struct json_doc *again;
	struct error e;

	require(json_parse(arena, "again", text, strlen(text), &again, &e) == 0, e.msg, text);
	require(strcmp(write_out(arena, again->root, style), text) == 0, "differs", text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {NULL};
	struct json_doc *doc;
	const struct config *config;
	const struct config_process *process;
	struct error e = {0};

	if (json_parse(&arena, "config.json", (const char *)data, size, &doc, &e) < 0) {
		require_explained(&e);
	} else {
		require_round_trip(&arena, doc->root, JSON_COMPACT);
		require_round_trip(&arena, doc->root, JSON_INDENT);
		if (config_decode(&arena, doc, &config, &e) < 0)
			require_explained(&e);
		if (process_decode(&arena, doc->root, &process, &e) < 0)
			require_explained(&e);
	}
	arena_free(&arena);
	return 0;
}
