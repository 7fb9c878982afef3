/* SPDX-License-Identifier: MIT */
/*
 * One property of a config.json, set by its RFC 6901 pointer. The field tables say
 * what can stand there, so a name that they do not have is an error, and what is
 * missing on the way is made as they want it.
 */
#include "hako/config.h"
#include "hako/utf8.h"

#include <string.h>

/* What a place in the document may hold. */
struct place {
	enum field_type type;
	const struct field_table *table; /* of an object, or of the objects in it */
	struct json *node;
};

struct setter {
	struct arena *arena;
	const char *pointer;
	struct error *e;
};

static bool
is_text(enum field_type type)
{
	return type == FIELD_STRING || type == FIELD_ENUM;
}

/* Type of what is inside; FIELD_TYPES: nothing can be. */
static enum field_type
inner_type(const struct place *p)
{
	static const struct pair {
		enum field_type outer, inner;
	} pairs[] = {
		{FIELD_OBJECT, FIELD_OBJECT},     {FIELD_OBJECTS, FIELD_OBJECT},
		{FIELD_OBJECT_MAP, FIELD_OBJECT}, {FIELD_STRINGS, FIELD_STRING},
		{FIELD_MAP, FIELD_STRING},        {FIELD_UINTS, FIELD_UINT},
		{FIELD_FLAGS, FIELD_ENUM},
	};

	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].outer == p->type)
			return pairs[i].inner;
	return FIELD_TYPES;
}

static bool
is_list(enum field_type type)
{
	return type == FIELD_STRINGS || type == FIELD_UINTS || type == FIELD_FLAGS ||
	       type == FIELD_OBJECTS;
}

/* A token as the name that it stands for. */
static char *
unescape(struct arena *arena, const char *token, size_t length)
{
	char *name = arena_strndup(arena, token, length), *out = name;

	for (const char *in = name; *in != '\0'; in++) {
		bool escaped = in[0] == '~' && (in[1] == '0' || in[1] == '1');

		*out++ = !escaped ? *in : in[1] == '0' ? '~' : '/';
		in += escaped;
	}
	*out = '\0';
	return name;
}

static int
fail_unknown(const struct setter *s, const struct field_table *table, const char *name,
             size_t parent)
{
	const char *nearest = field_search(table, name).nearest;

	return error_set(s->e, 0, "pointer-unknown",
	                 "--set %s: %.*s has no property \"%s\"; the nearest is %.*s/%s",
	                 s->pointer, parent > 0 ? (int)parent : 1, parent > 0 ? s->pointer : "/",
	                 name, (int)parent, s->pointer, nearest != NULL ? nearest : "");
}

/* The item of a list: an index that exists or is the next one, or "-" for the next. */
static int
enter_list(const struct setter *s, struct place *p, const char *token, size_t length)
{
	struct json *item = json_step(p->node, token, length);
	uint64_t index = 0;

	if (item == NULL && !(length == 1 && token[0] == '-') &&
	    (parse_uint(arena_strndup(s->arena, token, length), UINT32_MAX, &index) < 0 ||
	     index != p->node->count))
		return error_set(s->e, 0, "pointer-unknown",
		                 "--set %s: the list has %u items: want an index, or - for the "
		                 "next",
		                 s->pointer, p->node->count);
	p->node = item != NULL ? item : json_append(s->arena, p->node, NULL);
	return 0;
}

static int
enter_member(const struct setter *s, struct place *p, const char *token, size_t length)
{
	char *name = unescape(s->arena, token, length);
	struct json *member = json_step(p->node, token, length);
	const struct field *field = NULL;

	if (p->type == FIELD_OBJECT) {
		field = field_find(p->table, name);
		if (field == NULL)
			return fail_unknown(s, p->table, name, (size_t)(token - 1 - s->pointer));
	}
	p->node = member != NULL ? member : json_append(s->arena, p->node, name);
	if (field != NULL) {
		p->type = field->type;
		p->table = field->table;
	}
	return 0;
}

/* One token further; what is there must be able to hold something. */
static int
enter(const struct setter *s, struct place *p, const char *token, size_t length)
{
	enum field_type inside = inner_type(p);
	bool list = is_list(p->type), object = p->type == FIELD_OBJECT;

	if (inside == FIELD_TYPES)
		return error_set(s->e, 0, "pointer-unknown", "--set %s: there is nothing in %.*s",
		                 s->pointer, (int)(token - 1 - s->pointer), s->pointer);
	if (p->node->type != (list ? JSON_ARRAY : JSON_OBJECT)) {
		p->node->type = list ? JSON_ARRAY : JSON_OBJECT;
		p->node->first = NULL;
		p->node->count = 0;
	}
	if ((list ? enter_list : enter_member)(s, p, token, length) < 0)
		return -1;
	if (!object)
		p->type = inside;
	return 0;
}

/* JSON, or, where it is none or a text is wanted, a string. */
static int
assign(const struct setter *s, const struct place *p, const char *value)
{
	struct json string = {.type = JSON_STRING, .text = value};
	struct error not_json;
	struct json_doc *doc;
	bool is_json = json_parse(s->arena, s->pointer, value, strlen(value), &doc, &not_json) == 0;

	if (is_json && doc->root->type == JSON_NULL) {
		json_remove(p->node);
		return 0;
	}
	if (!is_json && !utf8_is_valid(value))
		return error_set(s->e, 0, "value-invalid", "--set %s: the value is not UTF-8",
		                 s->pointer);
	if (!is_json && !is_text(p->type))
		return error_set(s->e, 0, "value-invalid", "--set %s: the value is not JSON: %s",
		                 s->pointer, not_json.msg);
	json_replace(p->node, is_json && !(is_text(p->type) && doc->root->type != JSON_STRING)
	                              ? doc->root
	                              : &string);
	return 0;
}

int
config_set(struct arena *arena, struct json *root, const char *pointer, const char *value,
           struct error *e)
{
	struct setter s = {arena, pointer, e};
	struct place p = {.type = FIELD_OBJECT, .table = &config_fields, .node = root};

	if (pointer[0] != '/')
		return error_set(e, 0, "pointer-unknown",
		                 "--set %s: want /pointer/to/a/property=VALUE", pointer);
	for (const char *token = pointer; *token == '/'; token += strcspn(token, "/")) {
		token++;
		if (enter(&s, &p, token, strcspn(token, "/")) < 0)
			return -1;
	}
	return assign(&s, &p, value);
}
