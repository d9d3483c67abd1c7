#include <ep_xport.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

/* base64 of the bytes 0 to 31. */
#define KEY_TEXT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

struct files {
	char dir[32];
	char path[64];
};

static int
setup(void **state)
{
	static struct files files;

	snprintf(files.dir, sizeof(files.dir), "/tmp/ep_key_test_XXXXXX");
	if (mkdtemp(files.dir) == NULL)
		return -1;
	snprintf(files.path, sizeof(files.path), "%s/key", files.dir);
	*state = &files;
	return 0;
}

static int
teardown(void **state)
{
	const struct files *files = *state;

	unlink(files->path);
	return rmdir(files->dir);
}

static void
put(const char *path, const char *text, size_t len, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
key_file_of_one_right_line_is_read(void **state)
{
	static const char *const texts[] = {KEY_TEXT, KEY_TEXT "\n", KEY_TEXT "\r\n"};
	static const mode_t modes[] = {0600, 0400, 0700};
	const struct files *files = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(texts); i++) {
		uint8_t key[EP_XPORT_KEY_BYTES] = {0};

		put(files->path, texts[i], strlen(texts[i]), modes[i]);
		assert_int_equal(ep_xport_key_read(files->path, key, NULL), 0);
		for (uint8_t b = 0; b < sizeof(key); b++)
			assert_int_equal(key[b], b);
	}
}

static void
key_file_with_other_content_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} cases[] = {
		{"", "is empty"},
		{"\n", "is empty"},
		{"\r\n", "is empty"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", "holds 31 bytes, 32 are needed"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", "holds 33 bytes, 32 are needed"},
		{"AA==", "holds 1 bytes, 32 are needed"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "not one line of base64"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "not one line of base64"},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh==", "not one line of base64"},
		{" " KEY_TEXT, "not one line of base64"},
		{KEY_TEXT " ", "not one line of base64"},
		{"   " KEY_TEXT " ", "not one line of base64"},
		{KEY_TEXT "\n\n", "not one line of base64"},
		{KEY_TEXT "\n" KEY_TEXT "\n", "not one line of base64"},
		{KEY_TEXT KEY_TEXT, "not one line of base64"},
		{"AAEC_wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "not one line of base64"},
		{"AAEC=wQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "not one line of base64"},
		{"A===", "not one line of base64"},
		{"====", "not one line of base64"},
		{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
			"holds 48 bytes, 32 are needed"},
	};
	const struct files *files = *state;

	for (size_t i = 0; i < EP_ARRAY_LEN(cases); i++) {
		uint8_t key[EP_XPORT_KEY_BYTES] = {0xee};
		struct ep_err err = {0};

		put(files->path, cases[i].text, strlen(cases[i].text), 0600);
		if (ep_xport_key_read(files->path, key, &err) != -EINVAL)
			fail_msg("\"%s\": %d %s", cases[i].text, err.code, err.text);
		if (strstr(err.text, cases[i].says) == NULL ||
			strstr(err.text, files->path) == NULL)
			fail_msg("\"%s\": %s", cases[i].text, err.text);
		assert_int_equal(key[0], 0xee);
	}
}

static void
key_file_of_any_size_and_bytes_is_bounded(void **state)
{
	const struct files *files = *state;
	uint8_t key[EP_XPORT_KEY_BYTES];
	struct ep_err err;
	char text[5000];

	memset(text, 'A', sizeof(text));
	for (size_t len = 1020; len <= 1026; len++) {
		put(files->path, text, len, 0600);
		assert_int_equal(ep_xport_key_read(files->path, key, &err), -EINVAL);
	}
	put(files->path, text, sizeof(text), 0600);
	assert_int_equal(ep_xport_key_read(files->path, key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "too long"));
	memset(text, 0, 44);
	put(files->path, text, 44, 0600);
	assert_int_equal(ep_xport_key_read(files->path, key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "base64"));
}

static void
key_file_that_others_may_touch_is_refused(void **state)
{
	const struct files *files = *state;

	for (unsigned int bit = 0; bit < 6; bit++) {
		const mode_t mode = 0600 | (1U << bit);
		uint8_t key[EP_XPORT_KEY_BYTES];
		char want[128];
		struct ep_err err;

		put(files->path, KEY_TEXT, strlen(KEY_TEXT), mode);
		assert_int_equal(ep_xport_key_read(files->path, key, &err), -EACCES);
		snprintf(want, sizeof(want), "has mode %04o,", mode);
		assert_non_null(strstr(err.text, want));
		snprintf(want, sizeof(want), "run: chmod 600 %s", files->path);
		assert_non_null(strstr(err.text, want));
	}
}

static void
key_file_has_to_be_a_regular_file_that_can_be_read(void **state)
{
	const struct files *files = *state;
	uint8_t key[EP_XPORT_KEY_BYTES];
	struct ep_err err;
	char link[64];

	assert_int_equal(ep_xport_key_read(files->dir, key, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not a regular file"));
	assert_int_equal(ep_xport_key_read("/dev/null", key, &err), -EINVAL);
	unlink(files->path);
	assert_int_equal(ep_xport_key_read(files->path, key, &err), -ENOENT);
	assert_non_null(strstr(err.text, files->path));
	assert_int_equal(mkfifo(files->path, 0600), 0);
	assert_int_equal(
		ep_xport_key_read(files->path, key, &err), -EINVAL); /* and does not hang */

	put(files->path, KEY_TEXT, strlen(KEY_TEXT), 0600);
	snprintf(link, sizeof(link), "%s/link", files->dir);
	assert_int_equal(symlink(files->path, link), 0);
	assert_int_equal(ep_xport_key_read(link, key, &err), 0);
	unlink(link);
}

static void
key_file_of_somebody_else_is_refused(void **state)
{
	const struct files *files = *state;
	uint8_t key[EP_XPORT_KEY_BYTES];
	int ret;

	put(files->path, KEY_TEXT, strlen(KEY_TEXT), 0000);
	if (geteuid() == 0 && seteuid(NOBODY) < 0)
		fail_msg("seteuid: %s", strerror(errno));
	ret = ep_xport_key_read(files->path, key, NULL);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(ret, -EACCES);
}

static void
keygen_makes_keys_that_are_read_and_differ(void **state)
{
	const struct files *files = *state;
	char text[2][EP_XPORT_KEY_TEXT_BYTES];
	uint8_t key[2][EP_XPORT_KEY_BYTES];

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ep_xport_keygen(text[i]), 0);
		assert_int_equal(strlen(text[i]), 44);
		put(files->path, text[i], 44, 0600);
		assert_int_equal(ep_xport_key_read(files->path, key[i], NULL), 0);
	}
	assert_memory_not_equal(key[0], key[1], EP_XPORT_KEY_BYTES);
}

static void
random_fills_every_byte(void **state)
{
	uint8_t seen[64] = {0}, bytes[66];

	(void)state;
	/* A byte that is never filled would stay 0 over 16 draws; by chance it does so in 64 x 256^-16. */
	for (int draw = 0; draw < 16; draw++) {
		memset(bytes, 0, sizeof(bytes));
		assert_int_equal(ep_xport_random(bytes + 1, 64), 0);
		assert_int_equal(bytes[0], 0);
		assert_int_equal(bytes[65], 0);
		for (int i = 0; i < 64; i++)
			seen[i] |= bytes[1 + i];
	}
	for (int i = 0; i < 64; i++)
		assert_int_not_equal(seen[i], 0);
	assert_int_equal(ep_xport_random(bytes, 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_file_of_one_right_line_is_read),
		cmocka_unit_test(key_file_with_other_content_is_refused_with_a_sentence),
		cmocka_unit_test(key_file_of_any_size_and_bytes_is_bounded),
		cmocka_unit_test(key_file_that_others_may_touch_is_refused),
		cmocka_unit_test(key_file_has_to_be_a_regular_file_that_can_be_read),
		cmocka_unit_test(key_file_of_somebody_else_is_refused),
		cmocka_unit_test(keygen_makes_keys_that_are_read_and_differ),
		cmocka_unit_test(random_fills_every_byte),
	};

	return cmocka_run_group_tests_name("xport_key", tests, setup, teardown);
}
