/* SPDX-License-Identifier: MIT */
#ifndef HAKO_DECODE_H
#define HAKO_DECODE_H

#include "hako/json.h"
#include "hako/names.h"

/*
 * Field tables: one row a property. The same rows give `create` its parser and
 * `check` its errors, and the schema-coverage test its list. An empty STRING or ENUM
 * is an absent one, unless it is required.
 */
enum field_type {
	FIELD_STRING,     /* const char *, NULL when absent */
	FIELD_BOOL,       /* bool, false when absent */
	FIELD_UINT,       /* const uint64_t *, NULL when absent; min..max */
	FIELD_INT,        /* const int64_t *, NULL when absent; min..max */
	FIELD_U32,        /* uint32_t by value, 0 when absent; 0..max */
	FIELD_STRINGS,    /* struct strings */
	FIELD_UINTS,      /* struct uints; each min..max */
	FIELD_MAP,        /* struct string_map: string values */
	FIELD_ENUM,       /* int, 0 when absent; names gives the values (none of them 0) */
	FIELD_FLAGS,      /* struct flags: an array of names, or'ed */
	FIELD_OBJECT,     /* const struct X *, NULL when absent */
	FIELD_OBJECTS,    /* struct objects of struct X */
	FIELD_OBJECT_MAP, /* struct objects of struct X, key in the member before X's own rows */
	FIELD_IGNORED,    /* nothing: of the specification, and without effect here; see why */
	FIELD_TYPES,      /* how many there are */
};

struct strings {
	const char **items;
	size_t count;
	const struct json *at; /* NULL when absent */
};
struct uints {
	uint64_t *items;
	size_t count;
	const struct json *at;
};
struct string_map {
	struct string_pair {
		const char *key;
		const char *value;
		const struct json *at;
	} * items;
	size_t count;
	const struct json *at;
};
struct flags {
	uint64_t value;
	const struct json *at; /* NULL when absent: not the same as an empty list */
};
/* An array of structs; cast items to the type that the table names. */
struct objects {
	void *items;
	size_t count;
	const struct json *at;
};

/* The value of that key, or NULL. */
const char *
string_map_find(const struct string_map *map, const char *key);

/* Is that word one of the list? */
bool
strings_include(const struct strings *list, const char *word);

/* Does item i say what an earlier one has said? */
bool
strings_repeat(const struct strings *list, size_t i);

/* Item i of the list in the document; NULL: it is not from there. */
const struct json *
strings_at(const struct strings *list, size_t i);

enum field_flag {
	FIELD_REQUIRED = 1,
	FIELD_ABSOLUTE = 2,  /* a path that must begin with /, or an array of such */
	FIELD_NOT_EMPTY = 4, /* a string or an array that must hold something */
	FIELD_KEPT = 8,      /* an object that its rules can take without its required members */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned flags; /* enum field_flag, or'ed */
	size_t offset;
	const struct field_table *table; /* FIELD_OBJECT* */
	const struct name *names;        /* FIELD_ENUM, FIELD_FLAGS: the words and their values;
	                                    FIELD_STRING, FIELD_STRINGS: the only words allowed */
	int64_t min;
	uint64_t max;    /* min and max both 0: the whole range of the type */
	const char *why; /* FIELD_IGNORED */
};

/* A row: FIELD(U32, "uid", config_user, uid, .max = 65535). */
#define FIELD(type_, name_, struct_, member_, ...)                                                 \
	{                                                                                          \
		.name = (name_), .type = FIELD_##type_,                                            \
		.offset = offsetof(struct struct_, member_), __VA_ARGS__                           \
	}

/* A row for what has no place in the struct: IGNORED("vm", "only virtual machines have it"). */
#define IGNORED(name_, why_)                                                                       \
	{                                                                                          \
		.name = (name_), .type = FIELD_IGNORED, .why = (why_)                              \
	}

/*
 * The rows of a struct. Every decoded struct begins with
 * `const struct json *at`, set by the decoder; structs of a FIELD_OBJECT_MAP go
 * on with `const char *key`.
 */
struct field_table {
	size_t size; /* of the struct */
	const struct field *rows;
	size_t count;            /* at most 64 */
	const struct name *keys; /* a property that is none of these is an error; NULL: ignored */
};

#define FIELD_TABLE(struct_, rows_)                                                                \
	{                                                                                          \
		sizeof(struct struct_), rows_, ARRAY_SIZE(rows_), NULL                             \
	}

/* The row of that name, or NULL. */
const struct field *
field_find(const struct field_table *table, const char *name);

/* Which row may have been meant: see name_search_is_near(). */
struct name_search
field_search(const struct field_table *table, const char *name);

/*
 * Decode object into *out (zeroed by the caller). A property of the wrong
 * type, a missing required one, a number out of range, an unknown enum value
 * is an error with its position; null counts as absent; unknown properties are
 * logged at debug level. Error ids: config-type, config-missing, config-range,
 * config-value.
 *
 * When problems are collected, what is wrong counts as absent, a string as empty
 * and a number as 0 within a list. An object that lacks something required is
 * left out of its list, and is NULL elsewhere, unless its row says FIELD_KEPT. So
 * what the tables require need not be doubted by those who read the structs.
 * Further ids, of warnings: config-unknown, config-ignored.
 */
int
decode_object(struct arena *arena, const struct field_table *table, const struct json *object,
              void *out, struct error *e);

#endif
