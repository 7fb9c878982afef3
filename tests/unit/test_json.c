/* SPDX-License-Identifier: MIT */
/*
 * The JSON reader and writer: what is taken, what is refused and with which
 * words, and that no input makes it crash, hang or fill the memory.
 */
#include "hako/json.h"
#include "hako/utf8.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct arena arena;

static int
teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Parse a copy that ends where the text does, so that sanitizers see a read too far. */
static int
parse(const char *text, size_t length, struct json_doc **ret_doc, struct error *e)
{
	char *copy = malloc(length + 1); /* one in front, so that length may be 0 */
	int result;

	assert_non_null(copy);
	memcpy(copy + 1, text, length);
	result = json_parse(&arena, "config.json", copy + 1, length, ret_doc, e);
	if (result == 0)
		(*ret_doc)->text = arena_strndup(&arena, text, length);
	free(copy);
	return result;
}

static const struct json *
parse_good(const char *text)
{
	struct json_doc *doc = NULL;
	struct error e = {0};

	if (parse(text, strlen(text), &doc, &e) < 0)
		fail_msg("%s: %s: %s", text, e.at, e.msg);
	return doc->root;
}

static void
assert_refused(const char *text, size_t length, const char *id, const char *line)
{
	struct json_doc *doc = NULL;
	struct error e = {0};
	char found[sizeof(e.at) + sizeof(e.msg) + 4];

	if (parse(text, length, &doc, &e) == 0)
		fail_msg("accepted: %.*s", (int)length, text);
	assert_null(doc);
	assert_string_equal(error_format(&e, found, sizeof(found)), line);
	assert_string_equal(e.id, id);
	assert_int_equal(e.code, 0);
}

static void
assert_written(const struct json *value, enum json_style style, const char *expected)
{
	struct json_writer *w = json_writer_new(style);
	size_t length;

	json_put_json(w, NULL, value);
	assert_string_equal(json_writer_text(w, &length), expected);
	assert_int_equal(length, strlen(expected));
	json_writer_free(w);
}

static void
test_accepts(void **state)
{
	static const struct {
		const char *text;
		const char *compact;
	} cases[] = {
		{"{}", "{}"},
		{"[]", "[]"},
		{" \t\r\n{ } \n", "{}"},
		{"null", "null"},
		{"true", "true"},
		{" false ", "false"},
		{"0", "0"},
		{"-0", "-0"},
		{"12", "12"},
		{"12 ", "12"},
		{"-1.5e+3\n", "-1.5e+3"},
		{"1E400", "1E400"},
		{"123456789012345678901234567890", "123456789012345678901234567890"},
		{"\"\"", "\"\""},
		{"\"a\"", "\"a\""},
		{"\"/\\/\"", "\"//\""},
		{"\"\\b\\f\\n\\r\\t\\\\\\\"\"", "\"\\b\\f\\n\\r\\t\\\\\\\"\""},
		{"\"\\u0001\\u001F\x7f\"", "\"\\u0001\\u001F\x7f\""},
		{"\"\\u00e9\\u20AC\"", "\"\xc3\xa9\xe2\x82\xac\""},
		{"\"\\ud83d\\uDE00\"", "\"\xf0\x9f\x98\x80\""},
		{"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\ud800\\udc00\\uDBFF\\uDFFF\"",
	         "\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
		{"\"\\\\u0000\"", "\"\\\\u0000\""},
		{"\"\\\\\\\\ud800\"", "\"\\\\\\\\ud800\""},
		{"\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"",
	         "\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""},
		{"[1,[2,[],{}],{\"a\":[{}]}]", "[1,[2,[],{}],{\"a\":[{}]}]"},
		{"{\"\":1}", "{\"\":1}"},
		{"{\"a\" : 1 , \"b\":[ ] }", "{\"a\":1,\"b\":[]}"},
		{"{\"a\":{\"a\":{\"a\":null}}}", "{\"a\":{\"a\":{\"a\":null}}}"},
		{"{\"a\":1,\"A\":2,\"aa\":3}", "{\"a\":1,\"A\":2,\"aa\":3}"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_written(parse_good(cases[i].text), JSON_COMPACT, cases[i].compact);
}

#define TEXT(s) s, sizeof(s) - 1

static void
test_refuses(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		const char *id;
		const char *line;
	} cases[] = {
		{TEXT(""), "json-syntax", "config.json:1:1: the text is empty"},
		{TEXT(" \n "), "json-syntax", "config.json:2:2: the text is empty"},
		{TEXT("{"), "json-syntax", "config.json:1:2: the text ends too early"},
		{TEXT("["), "json-syntax", "config.json:1:2: the text ends too early"},
		{TEXT("{\"a\""), "json-syntax", "config.json:1:5: the text ends too early"},
		{TEXT("{\"a\":"), "json-syntax", "config.json:1:6: the text ends too early"},
		{TEXT("{\"a\":1,"), "json-syntax", "config.json:1:8: the text ends too early"},
		{TEXT("{\"a\":[1, \n"), "json-syntax",
	         "config.json:2:1 /a: the text ends too early"},
		{TEXT("\"a"), "json-syntax", "config.json:1:1: this string has no end"},
		{TEXT("[1, \"a\\"), "json-syntax", "config.json:1:5: this string has no end"},
		{TEXT("[1, \"a\\u12"), "json-syntax", "config.json:1:5: this string has no end"},
		{TEXT("tru"), "json-syntax", "config.json:1:1: expected a value, found 't'"},
		{TEXT("{}x"), "json-syntax",
	         "config.json:1:3: expected nothing after the value, found 'x'"},
		{TEXT("{} {}"), "json-syntax",
	         "config.json:1:4: expected nothing after the value, found '{'"},
		{TEXT("1 2"), "json-syntax",
	         "config.json:1:3: expected nothing after the value, found '2'"},
		{TEXT("1,"), "json-syntax",
	         "config.json:1:2: expected nothing after the value, found ','"},
		{TEXT("{}\""), "json-syntax",
	         "config.json:1:3: expected nothing after the value, found '\"'"},
		{TEXT("1 \"a"), "json-syntax",
	         "config.json:1:3: expected nothing after the value, found '\"'"},
		{TEXT("{}\0"), "json-syntax",
	         "config.json:1:3: expected nothing after the value, found byte 0x00"},
		{TEXT("\0"), "json-syntax", "config.json:1:1: expected a value, found byte 0x00"},
		{TEXT("]"), "json-syntax", "config.json:1:1: expected a value, found ']'"},
		{TEXT(","), "json-syntax", "config.json:1:1: expected a value, found ','"},
		{TEXT("[,1]"), "json-syntax", "config.json:1:2: expected a value, found ','"},
		{TEXT("[1,,2]"), "json-syntax", "config.json:1:4: expected a value, found ','"},
		{TEXT("[1,]"), "json-syntax", "config.json:1:4: expected a value, found ']'"},
		{TEXT("[1 2]"), "json-syntax", "config.json:1:4: expected ',' or ']', found '2'"},
		{TEXT("[1}"), "json-syntax", "config.json:1:3: expected ',' or ']', found '}'"},
		{TEXT("[\"a\" \"b\"]"), "json-syntax",
	         "config.json:1:6: expected ',' or ']', found '\"'"},
		{TEXT("[01]"), "json-syntax", "config.json:1:3: expected ',' or ']', found '1'"},
		{TEXT("[-]"), "json-syntax", "config.json:1:2: malformed number"},
		{TEXT("[1.]"), "json-syntax", "config.json:1:2: malformed number"},
		{TEXT("[1e]"), "json-syntax", "config.json:1:2: malformed number"},
		{TEXT("-"), "json-syntax", "config.json:1:1: malformed number"},
		{TEXT("[.5]"), "json-syntax", "config.json:1:2: expected a value, found '.'"},
		{TEXT("[+1]"), "json-syntax", "config.json:1:2: expected a value, found '+'"},
		{TEXT("[NaN]"), "json-syntax", "config.json:1:2: expected a value, found 'N'"},
		{TEXT("[nulll]"), "json-syntax", "config.json:1:6: expected ',' or ']', found 'l'"},
		{TEXT("{1:2}"), "json-syntax",
	         "config.json:1:2: expected a name in double quotes, found '1'"},
		{TEXT("{-1:2}"), "json-syntax",
	         "config.json:1:2: expected a name in double quotes, found '-'"},
		{TEXT("{,}"), "json-syntax",
	         "config.json:1:2: expected a name in double quotes, found ','"},
		{TEXT("{\"a\":1,}"), "json-syntax",
	         "config.json:1:8: expected a name in double quotes, found '}'"},
		{TEXT("{\"a\" 1}"), "json-syntax",
	         "config.json:1:6: expected ':' after the name, found '1'"},
		{TEXT("{\"a\",1}"), "json-syntax",
	         "config.json:1:5: expected ':' after the name, found ','"},
		{TEXT("{\"a\"::1}"), "json-syntax", "config.json:1:6: expected a value, found ':'"},
		{TEXT("{\"a\":}"), "json-syntax", "config.json:1:6: expected a value, found '}'"},
		{TEXT("{\"a\":\n {\"b\":1 \"c\":2}}"), "json-syntax",
	         "config.json:2:9 /a: expected ',' or '}', found '\"'"},
		{TEXT("{\"a\":1]"), "json-syntax",
	         "config.json:1:7: expected ',' or '}', found ']'"},
		{TEXT("// x\n1"), "json-syntax", "config.json:1:1: comments are not allowed"},
		{TEXT("[1 /* x */]"), "json-syntax", "config.json:1:4: comments are not allowed"},
		{TEXT("[1\f]"), "json-syntax",
	         "config.json:1:3: only space, tab and newline may stand between values"},
		{TEXT("{\v\"a\":1}"), "json-syntax",
	         "config.json:1:2: only space, tab and newline may stand between values"},
		{TEXT("[1]\v"), "json-syntax",
	         "config.json:1:4: only space, tab and newline may stand between values"},
		{TEXT("[\v\"\\n\"]"), "json-syntax",
	         "config.json:1:2: only space, tab and newline may stand between values"},
		{TEXT("[\"a\nb\"]"), "json-syntax",
	         "config.json:1:4: a string may not hold control characters"},
		{TEXT("[\"a\0b\"]"), "json-syntax",
	         "config.json:1:4: a string may not hold control characters"},
		{TEXT("[\"a\\qb\"]"), "json-syntax", "config.json:1:4: unknown escape in a string"},
		{TEXT("[\"\\u12g4\"]"), "json-syntax",
	         "config.json:1:7: expected four hexadecimal digits after \\u"},
		{TEXT("[\"\\u12\"]"), "json-syntax",
	         "config.json:1:7: expected four hexadecimal digits after \\u"},
		{TEXT("\xef\xbb\xbf{}"), "json-syntax",
	         "config.json:1:1: expected a value, found byte 0xef"},
		{TEXT("[\"x\\u0000\"]"), "json-utf8",
	         "config.json:1:4: \\u0000 is not allowed in a string"},
		{TEXT("{\"\\u0000\":1}"), "json-utf8",
	         "config.json:1:3: \\u0000 is not allowed in a string"},
		{TEXT("[\"\\ud800\"]"), "json-utf8",
	         "config.json:1:3: half of a surrogate pair in a string"},
		{TEXT("[\"\\ud800x\\udc00\"]"), "json-utf8",
	         "config.json:1:3: half of a surrogate pair in a string"},
		{TEXT("[\"\\udc00\\ud800\"]"), "json-utf8",
	         "config.json:1:3: half of a surrogate pair in a string"},
		{TEXT("[\"\\ud800\\ud800\"]"), "json-utf8",
	         "config.json:1:3: half of a surrogate pair in a string"},
		{TEXT("[\"\\n\\ud83d\\ude00\\udbff\"]"), "json-utf8",
	         "config.json:1:17: half of a surrogate pair in a string"},
		{TEXT("[\"a\xff\"]"), "json-utf8", "config.json:1:4: invalid UTF-8"},
		{TEXT("[\"\xc0\xaf\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("[\"\xe0\x80\xaf\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("[\"\xed\xa0\x80\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("[\"\xf4\x90\x80\x80\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("[\"\xf8\x88\x80\x80\x80\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("[\"\xe2\x82\"]"), "json-utf8", "config.json:1:3: invalid UTF-8"},
		{TEXT("\"\xe2\x82"), "json-utf8", "config.json:1:2: invalid UTF-8"},
		{TEXT("{\"a\":1,\"b\":2,\n\"a\":3}"), "json-duplicate",
	         "config.json:2:5 /a: this name was given before"},
		{TEXT("{\"\":1,\"\":2}"), "json-duplicate",
	         "config.json:1:10 /: this name was given before"},
		{TEXT("[{\"a/~b\":1,\"a\\/\\u007eb\":2}]"), "json-duplicate",
	         "config.json:1:25 /0/a~1~0b: this name was given before"},
		{TEXT("{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,\"10\":0,"
	              "\"11\":0,\"12\":0,\"9\":0,\"5\":0}"),
	         "json-duplicate", "config.json:1:81 /9: this name was given before"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_refused(cases[i].text, cases[i].length, cases[i].id, cases[i].line);
}

static void
test_positions(void **state)
{
	static const char text[] = "{\n  \"a\": [10, \"x\\ty\", {\"b\": true}],\n"
				   "  \"c\\u0064\" : { } , \"e\":null\n}\n";
	static const struct {
		const char *name;
		const char *span;
		const char *where;
		uint32_t count;
	} members[] = {
		{"a", "[10, \"x\\ty\", {\"b\": true}]", "config.json:2:8 /a", 3},
		{"cd", "{ }", "config.json:3:15 /cd", 0},
		{"e", "null", "config.json:3:25 /e", 0},
	};
	const struct json *root = parse_good(text), *node;
	char where[256];
	size_t i;

	(void)state;
	json_where(root, where, sizeof(where));
	assert_string_equal(where, "config.json:1:1");
	assert_int_equal(root->end, strlen(text) - 1);
	assert_int_equal(root->count, 3);
	for (i = 0; i < ARRAY_SIZE(members); i++) {
		node = json_member(root, members[i].name);
		assert_non_null(node);
		assert_int_equal(node->end - node->offset, strlen(members[i].span));
		assert_memory_equal(text + node->offset, members[i].span, strlen(members[i].span));
		assert_int_equal(node->count, members[i].count);
		json_where(node, where, sizeof(where));
		assert_string_equal(where, members[i].where);
	}
	node = json_member(root, "a")->first;
	assert_string_equal(node->text, "10");
	node = node->next;
	assert_string_equal(node->text, "x\ty");
	assert_memory_equal(text + node->offset, "\"x\\ty\"", node->end - node->offset);
	node = json_member(node->next, "b");
	assert_true(node->boolean);
	json_where(node, where, sizeof(where));
	assert_string_equal(where, "config.json:2:27 /a/2/b");
	json_where(NULL, where, sizeof(where));
	assert_string_equal(where, "");
	assert_null(json_member(root, "z"));
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(json_member(root, "a"), "a"));
}

static void
test_error_is_printable(void **state)
{
	const struct json *root = parse_good("{\"a\\u001b[1m\\u009b\\u00e9\": \"x\\ny\"}");
	struct error e;
	char small[27];

	(void)state;
	assert_int_equal(
		json_error(root->first, &e, 2, "some-id", "found \"%s\"", root->first->text), -1);
	assert_string_equal(e.at, "config.json:1:28 /a?[1m??\xc3\xa9");
	assert_string_equal(e.msg, "found \"x?y\": no such file or directory");
	assert_string_equal(e.id, "some-id");
	assert_int_equal(e.code, 2);
	/* cut in the middle of the last letter */
	json_where(root->first, small, sizeof(small));
	assert_string_equal(small, "config.json:1:28 /a?[1m???");
	json_error(NULL, &e, 0, "id", "text");
	assert_string_equal(e.at, "");
}

static char *
repeat(const char *piece, size_t count)
{
	size_t length = strlen(piece), i;
	char *text = arena_array(&arena, count, length + 1);

	for (i = 0; i < count; i++)
		memcpy(text + i * length, piece, length);
	return text;
}

static void
test_depth(void **state)
{
	static const char *const openings[] = {"[", "{\"a\":", "[{\"a\":"};
	struct json_doc *doc;
	struct error e;
	char *text;
	size_t i;

	(void)state;
	parse_good(arena_printf(&arena, "%s%s", repeat("[", JSON_MAX_DEPTH),
	                        repeat("]", JSON_MAX_DEPTH)));
	text = arena_printf(&arena, "%s1%s", repeat("{\"a\":", JSON_MAX_DEPTH),
	                    repeat("}", JSON_MAX_DEPTH));
	assert_written(parse_good(text), JSON_COMPACT, text);
	for (i = 0; i < ARRAY_SIZE(openings); i++) {
		text = repeat(openings[i], 1000000);
		assert_int_equal(parse(text, strlen(text), &doc, &e), -1);
		assert_string_equal(e.id, "json-depth");
		assert_non_null(strstr(e.msg, "nested deeper than 64 levels"));
	}
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* count members, the last one with the name of member `repeated`. */
static char *
many_members(int count, int repeated, size_t *ret_length)
{
	char *text = arena_array(&arena, (size_t)count, 24), *out = text;
	int i;

	*out++ = '{';
	for (i = 0; i < count; i++)
		out += sprintf(out, "\"key%d\":0%c", i == count - 1 ? repeated : i,
		               i == count - 1 ? '}' : ',');
	*ret_length = (size_t)(out - text);
	return text;
}

static void
test_many_members(void **state)
{
	enum { COUNT = 300000 };
	double start = seconds();
	struct json_doc *doc;
	struct error e;
	size_t length;
	char *text = many_members(COUNT, COUNT - 1, &length);

	(void)state;
	assert_int_equal(parse(text, length, &doc, &e), 0);
	assert_int_equal(doc->root->count, COUNT);
	text = many_members(COUNT, 4711, &length);
	assert_int_equal(parse(text, length, &doc, &e), -1);
	assert_string_equal(e.id, "json-duplicate");
	assert_non_null(strstr(e.at, " /key4711"));
	/* quadratic would be minutes; generous for valgrind */
	assert_true(seconds() - start < 60);
}

/* As many values as are allowed, the array included, then one of each kind more. */
static void
test_many_values(void **state)
{
	static const char *const more[] = {"0", "\"\"", "null", "true", "[]", "{}"};
	char *zeros = repeat(",0", JSON_MAX_VALUES - 1), *text;
	struct json_doc *doc;
	struct error e;
	size_t i;

	(void)state;
	zeros[0] = '[';
	text = arena_printf(&arena, "%s]", zeros);
	assert_int_equal(parse(text, strlen(text), &doc, &e), 0);
	assert_int_equal(doc->root->count, JSON_MAX_VALUES - 1);
	for (i = 0; i < ARRAY_SIZE(more); i++) {
		text = arena_printf(&arena, "%s,%s]", zeros, more[i]);
		assert_int_equal(parse(text, strlen(text), &doc, &e), -1);
		assert_string_equal(e.id, "json-too-large");
		assert_string_equal(e.at, "config.json:1:2097152");
		assert_string_equal(e.msg, "too many values");
	}
}

static void
test_many_bytes(void **state)
{
	struct json_doc *doc;
	struct error e;
	char *text;

	(void)state;
	text = repeat(" ", JSON_MAX_BYTES + 1);
	text[0] = '1';
	assert_int_equal(parse(text, JSON_MAX_BYTES, &doc, &e), 0);
	assert_int_equal(parse(text, JSON_MAX_BYTES + 1, &doc, &e), -1);
	assert_string_equal(e.id, "json-too-large");
	assert_string_equal(e.msg, "config.json is larger than 8388608 bytes");
	memset(text, 'x', JSON_MAX_BYTES);
	text[0] = text[JSON_MAX_BYTES - 1] = '"';
	assert_int_equal(parse(text, JSON_MAX_BYTES, &doc, &e), 0);
	assert_int_equal(strlen(doc->root->text), JSON_MAX_BYTES - 2);

	text = arena_printf(&arena, "[\"%s\",1]", repeat("\\n", 100000));
	assert_written(parse_good(text), JSON_COMPACT, text);
}

static const char *
data_path(const char *name)
{
	const char *tests = getenv("HAKO_TESTS");

	return arena_printf(&arena, "%s/%s", tests != NULL ? tests : "tests", name);
}

static const struct json_doc *
load_good(const char *path)
{
	struct json_doc *doc;
	struct error e;

	if (json_load(&arena, AT_FDCWD, path, "config.json", &doc, &e) < 0)
		fail_msg("%s: %s: %s", path, e.at, e.msg);
	return doc;
}

/* Whatever a file is cut to, it is refused with a position in it. */
static void
test_truncations(void **state)
{
	const struct json_doc *whole = load_good(data_path("data/spec/good/spec-example.json"));
	size_t length = whole->root->end;

	(void)state;
	while (length-- > 0) {
		struct arena own = {NULL};
		struct json_doc *doc;
		struct error e;
		char *copy = malloc(length + 1);

		assert_non_null(copy);
		memcpy(copy + 1, whole->text, length);
		assert_int_equal(json_parse(&own, "c", copy + 1, length, &doc, &e), -1);
		assert_string_equal(e.id, "json-syntax");
		assert_memory_equal(e.at, "c:", 2);
		arena_free(&own);
		free(copy);
	}
}

static void
test_utf8_length(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		size_t valid;
	} cases[] = {
		{TEXT(""), 0},
		{TEXT("a"), 1},
		{TEXT("12345678\x80"), 8},
		{TEXT("1234567\xc3\xa9"), 9},
		{TEXT("1234567\xc3"), 7},
		{TEXT("\x80"), 0},
		{TEXT("a\xc1\xbf"), 1},
		{TEXT("\xc2\x80\xdf\xbf"), 4},
		{TEXT("\xe0\x9f\xbf"), 0},
		{TEXT("\xe0\xa0\x80\xec\xbf\xbf"), 6},
		{TEXT("\xed\x9f\xbf\xed\xa0\x80"), 3},
		{TEXT("\xef\xbf\xbf\xef\xbf"), 3},
		{TEXT("\xf0\x8f\xbf\xbf"), 0},
		{TEXT("\xf0\x90\x80\x80\xf3\xbf\xbf\xbf\xf4\x8f\xbf\xbf"), 12},
		{TEXT("\xf4\x90\x80\x80"), 0},
		{TEXT("\xf5\x80\x80\x80"), 0},
		{TEXT("\xf1\x80\x80"), 0},
		{TEXT("\xf1\x80\x80\xc0"), 0},
		{TEXT("\xff"), 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(utf8_valid_length(cases[i].text, cases[i].length), cases[i].valid);
}

static void
assert_unreadable(int dir, const char *path, const char *id, const char *msg)
{
	struct json_doc *doc;
	struct error e;

	assert_int_equal(json_load(&arena, dir, path, "config.json", &doc, &e), -1);
	assert_string_equal(e.msg, msg);
	assert_string_equal(e.id, id);
	assert_string_equal(e.at, "");
}

static void
put_file(int dir, const char *name, const char *text)
{
	autoclose int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), (ssize_t)length);
}

static void
test_load(void **state)
{
	char template[] = "/tmp/hako-test-json-XXXXXX";
	autoclose int dir = -1;
	struct json_doc *doc;
	struct error e;

	(void)state;
	assert_non_null(mkdtemp(template));
	dir = open(template, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(dir >= 0);
	assert_unreadable(dir, "missing", "config-unreadable",
	                  "open config.json: no such file or directory");
	assert_unreadable(dir, ".", "config-unreadable", "config.json is not a regular file");
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_unreadable(dir, "fifo", "config-unreadable", "config.json is not a regular file");
	assert_unreadable(AT_FDCWD, "/dev/zero", "config-unreadable",
	                  "config.json is not a regular file");
	put_file(dir, "file", "{\"a\": 1}\n");
	assert_int_equal(json_load(&arena, dir, "file", "config.json", &doc, &e), 0);
	assert_string_equal(doc->name, "config.json");
	assert_int_equal(doc->length, 9);
	assert_int_equal(symlinkat("file", dir, "link"), 0);
	assert_int_equal(json_load(&arena, dir, "link", "config.json", &doc, &e), 0);
	put_file(dir, "empty", "");
	assert_int_equal(json_load(&arena, dir, "empty", "config.json", &doc, &e), -1);
	assert_string_equal(e.at, "config.json:1:1");
	put_file(dir, "huge", "x");
	assert_int_equal(truncate(arena_printf(&arena, "%s/huge", template), 100 << 20), 0);
	assert_unreadable(dir, "huge", "json-too-large",
	                  "config.json is larger than 8388608 bytes");
	assert_unreadable(AT_FDCWD, "/proc/self/mem", "config-unreadable",
	                  "read config.json: input/output error");
	/* its size is said to be 0 */
	assert_int_equal(load_good("/proc/sys/kernel/pid_max")->root->type, JSON_NUMBER);

	assert_int_equal(unlinkat(dir, "fifo", 0) | unlinkat(dir, "file", 0) |
	                         unlinkat(dir, "link", 0) | unlinkat(dir, "empty", 0) |
	                         unlinkat(dir, "huge", 0) | rmdir(template),
	                 0);
}

static void
put_sample(struct json_writer *w)
{
	json_begin_object(w, NULL);
	json_put_string(w, "ociVersion", "1.2.0");
	json_put_int(w, "pid", -12);
	json_put_bool(w, "yes", true);
	json_put_bool(w, "no", false);
	json_put_null(w, "nothing");
	json_begin_object(w, "empty");
	json_end_object(w);
	json_begin_array(w, "none");
	json_end_array(w);
	json_begin_array(w, "some");
	json_put_string(w, NULL, "/a\"\n\x01");
	json_begin_object(w, NULL);
	json_put_string(w, "latin", "\xff\xe9t\xe9 \xe2\x82");
	json_put_string(w, "\xe9", "\xe9t\xc3\xa9");
	json_end_object(w);
	json_begin_array(w, NULL);
	json_begin_object(w, NULL);
	json_end_object(w);
	json_end_array(w);
	json_end_array(w);
	json_end_object(w);
}

static void
test_writer(void **state)
{
	static const char indented[] =
		"{\n"
		"  \"ociVersion\": \"1.2.0\",\n"
		"  \"pid\": -12,\n"
		"  \"yes\": true,\n"
		"  \"no\": false,\n"
		"  \"nothing\": null,\n"
		"  \"empty\": {},\n"
		"  \"none\": [],\n"
		"  \"some\": [\n"
		"    \"/a\\\"\\n\\u0001\",\n"
		"    {\n"
		"      \"latin\": \"\xef\xbf\xbd\xef\xbf\xbdt\xef\xbf\xbd \xef\xbf\xbd\xef\xbf\xbd\",\n"
		"      \"\xef\xbf\xbd\": \"\xef\xbf\xbdt\xc3\xa9\"\n"
		"    },\n"
		"    [\n"
		"      {}\n"
		"    ]\n"
		"  ]\n"
		"}";
	struct json_writer *w = json_writer_new(JSON_INDENT);
	const struct json *copy;

	(void)state;
	put_sample(w);
	assert_string_equal(json_writer_text(w, NULL), indented);
	copy = parse_good(json_writer_text(w, NULL));
	assert_written(copy, JSON_INDENT, indented);
	assert_written(json_member(copy, "some")->first->next->next, JSON_COMPACT, "[{}]");
	assert_written(json_member(copy, "pid"), JSON_INDENT, "-12");
	json_writer_free(w);

	w = json_writer_new(JSON_COMPACT);
	assert_string_equal(json_writer_text(w, NULL), "");
	json_begin_object(w, NULL);
	json_put_json(w, "copy", copy->first);
	json_put_json(w, "list", json_member(copy, "none"));
	json_end_object(w);
	assert_string_equal(json_writer_text(w, NULL), "{\"copy\":\"1.2.0\",\"list\":[]}");
	json_writer_free(w);
	json_writer_free(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_accepts, teardown),
		cmocka_unit_test_teardown(test_refuses, teardown),
		cmocka_unit_test_teardown(test_positions, teardown),
		cmocka_unit_test_teardown(test_error_is_printable, teardown),
		cmocka_unit_test_teardown(test_depth, teardown),
		cmocka_unit_test_teardown(test_many_members, teardown),
		cmocka_unit_test_teardown(test_many_values, teardown),
		cmocka_unit_test_teardown(test_many_bytes, teardown),
		cmocka_unit_test_teardown(test_truncations, teardown),
		cmocka_unit_test_teardown(test_utf8_length, teardown),
		cmocka_unit_test_teardown(test_load, teardown),
		cmocka_unit_test_teardown(test_writer, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
