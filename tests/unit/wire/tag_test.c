#include "wire_model.h"

#include <errno.h>
#include <openssl/hmac.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static struct model_rng rng;

/* RFC 4493 section 4. */
static const uint8_t rfc_key[16] = {0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7,
	0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c};
static const uint8_t rfc_message[64] = {0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d,
	0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a, 0xae, 0x2d, 0x8a, 0x57, 0x1e, 0x03, 0xac, 0x9c, 0x9e,
	0xb7, 0x6f, 0xac, 0x45, 0xaf, 0x8e, 0x51, 0x30, 0xc8, 0x1c, 0x46, 0xa3, 0x5c, 0xe4, 0x11,
	0xe5, 0xfb, 0xc1, 0x19, 0x1a, 0x0a, 0x52, 0xef, 0xf6, 0x9f, 0x24, 0x45, 0xdf, 0x4f, 0x9b,
	0x17, 0xad, 0x2b, 0x41, 0x7b, 0xe6, 0x6c, 0x37, 0x10};

static void
cmac_gives_the_vectors_of_rfc_4493(void **state)
{
	static const struct {
		size_t len;
		uint8_t mac[16];
	} vector[] = {
		{0,
			{0xbb, 0x1d, 0x69, 0x29, 0xe9, 0x59, 0x37, 0x28, 0x7f, 0xa3, 0x7d, 0x12,
				0x9b, 0x75, 0x67, 0x46}},
		{16,
			{0x07, 0x0a, 0x16, 0xb4, 0x6b, 0x4d, 0x41, 0x44, 0xf7, 0x9b, 0xdd, 0x9d,
				0xd0, 0x4a, 0x28, 0x7c}},
		{40,
			{0xdf, 0xa6, 0x67, 0x47, 0xde, 0x9a, 0xe6, 0x30, 0x30, 0xca, 0x32, 0x61,
				0x14, 0x97, 0xc8, 0x27}},
		{64,
			{0x51, 0xf0, 0xbe, 0xbf, 0x7e, 0x3b, 0x9d, 0x92, 0xfc, 0x49, 0x74, 0x17,
				0x79, 0x36, 0x3c, 0xfe}},
	};
	uint8_t mac[16];

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(vector); i++) {
		assert_int_equal(ep_wire_cmac(rfc_key, rfc_message, vector[i].len, mac), 0);
		assert_memory_equal(mac, vector[i].mac, 16);
	}
}

static const struct {
	enum ep_wire_tag_impl impl;
	const char *name;
} impls[] = {
	/* The fastest first. */
	{EP_WIRE_TAG_VAES512, "vaes512"},
	{EP_WIRE_TAG_VAES256, "vaes256"},
	{EP_WIRE_TAG_AESNI, "aesni"},
	{EP_WIRE_TAG_ARMV8, "armv8"},
	{EP_WIRE_TAG_PORTABLE, "openssl"},
};

/* NULL where this CPU does not have it; the portable one is everywhere. */
static struct ep_wire_tagger *
tagger_of(const uint8_t key[16], enum ep_wire_tag_impl impl)
{
	struct ep_wire_tagger *tagger = NULL;
	const int ret = ep_wire_tagger_create(key, impl, &tagger);

	if (ret == -ENOTSUP && impl != EP_WIRE_TAG_PORTABLE && impl != EP_WIRE_TAG_AUTO) {
		assert_null(tagger);
		return NULL;
	}
	assert_int_equal(ret, 0);
	return tagger;
}

static void
tag_of_the_rfc_4493_block_is_its_first_32_bits(void **state)
{
	struct ep_wire_block block;
	uint32_t tag = 0;

	(void)state;
	memcpy(block.bytes_be, rfc_message, 16);
	for (size_t i = 0; i < EP_ARRAY_LEN(impls); i++) {
		struct ep_wire_tagger *const tagger = tagger_of(rfc_key, impls[i].impl);

		if (tagger == NULL)
			continue;
		ep_wire_tag_burst(tagger, &block, &tag, 1);
		assert_int_equal(tag, 0x070a16b4);
		ep_wire_tagger_destroy(tagger);
	}
}

/* The end of a page with one behind it that must not be touched. */
static uint8_t *
guarded_end(void)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *const page = mmap(
		NULL, 2 * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(mprotect(page + page_bytes, page_bytes, PROT_NONE), 0);
	return page + page_bytes;
}

/* Echoes differ in the payload type, the message's last byte but one. */
static void
check_burst_echo(struct ep_wire_tagger *tagger, const uint8_t key[16], struct ep_wire_block *block,
	uint32_t *tag, uint32_t count)
{
	uint8_t mac[16];

	ep_wire_tag_burst_echo(tagger, block, tag, count);
	for (uint32_t i = 0; i < count; i++) {
		block[i].bytes_be[14] = EP_WIRE_PT_ECHO;
		assert_int_equal(ep_wire_cmac(key, block[i].bytes_be, 16, mac), 0);
		assert_int_equal(tag[i], model_get(mac, 4));
	}
}

/* Every count, so also whole and cut groups of lanes. Nothing behind the last block is read, nor behind the last tag written. */
static void
check_burst(struct ep_wire_tagger *tagger, const uint8_t key[16], uint32_t count)
{
	static uint8_t *block_end, *tag_end;
	struct ep_wire_block *block;
	uint8_t mac[16];
	uint32_t *tag;

	if (block_end == NULL) {
		block_end = guarded_end();
		tag_end = guarded_end();
	}
	block = (struct ep_wire_block *)block_end - count;
	tag = (uint32_t *)tag_end - count;
	model_rng_bytes(&rng, (uint8_t *)block, count * sizeof(*block));
	memset(tag - 1, 0xa5, (count + 1) * sizeof(*tag));
	ep_wire_tag_burst(tagger, block, tag, count);
	assert_int_equal(tag[-1], 0xa5a5a5a5);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(ep_wire_cmac(key, block[i].bytes_be, 16, mac), 0);
		assert_int_equal(tag[i], model_get(mac, 4));
		block[i].bytes_be[14] = EP_WIRE_PT_UP;
	}
	check_burst_echo(tagger, key, block, tag, count);
}

/* One key in two has the first bit of AES(K, 0) set, so both branches of the subkey are met. */
static void
every_implementation_gives_cmac_for_every_count(void **state)
{
	uint8_t key[16];

	(void)state;
	for (unsigned int round = 0; round < 8; round++) {
		model_rng_bytes(&rng, key, sizeof(key));
		for (size_t i = 0; i < EP_ARRAY_LEN(impls); i++) {
			struct ep_wire_tagger *const tagger = tagger_of(key, impls[i].impl);

			for (uint32_t count = 0; tagger != NULL && count <= EP_WIRE_BURST; count++)
				check_burst(tagger, key, count);
			ep_wire_tagger_destroy(tagger);
		}
	}
}

/* What there is, is said, so that a run on another CPU can be seen to have tested what it was meant to. */
static void
auto_is_the_first_implementation_that_the_cpu_has(void **state)
{
	struct ep_wire_tagger *const fastest = tagger_of(rfc_key, EP_WIRE_TAG_AUTO);
	const char *want = NULL;

	(void)state;
	for (size_t i = 0; i < EP_ARRAY_LEN(impls); i++) {
		struct ep_wire_tagger *const tagger = tagger_of(rfc_key, impls[i].impl);

		if (tagger == NULL)
			continue;
		print_message("# this CPU has: %s\n", ep_wire_tagger_name(tagger));
		assert_string_equal(ep_wire_tagger_name(tagger), impls[i].name);
		if (want == NULL)
			want = impls[i].name;
		ep_wire_tagger_destroy(tagger);
	}
	assert_string_equal(ep_wire_tagger_name(fastest), want);
	ep_wire_tagger_destroy(fastest);
	ep_wire_tagger_destroy(NULL);
}

static void
block_holds_what_the_tag_covers_and_no_marker(void **state)
{
	static const uint8_t want[16] = {0x01, 0x02, 0x03, 0x04, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22,
		0x23, 0x24, 0xc3, 0x50, 96, 0};
	struct ep_wire_probe probe = {.flow = 0x01020304,
		.seq = 0x11121314,
		.time_ns = 0x21222324,
		.orig_dport = 50000,
		.pt = 96};
	struct ep_wire_block block;

	(void)state;
	ep_wire_block_set(&block, &probe);
	assert_memory_equal(block.bytes_be, want, 16);
	probe.first = true;
	ep_wire_block_set(&block, &probe);
	assert_memory_equal(block.bytes_be, want, 16);
}

/* RFC 5869 section 2 from HMAC alone: 16 bytes are one block of output, T(1) = HMAC(PRK, info | 0x01). */
static void
hkdf_by_hand(const uint8_t ikm[32], const uint8_t salt[32], uint8_t out[32])
{
	uint8_t prk[32];

	assert_non_null(HMAC(EVP_sha256(), salt, 32, ikm, 32, prk, NULL));
	assert_non_null(HMAC(
		EVP_sha256(), prk, 32, (const uint8_t *)"everyport/1 trial\x01", 18, out, NULL));
}

static void
trial_key_is_hkdf_of_session_key_and_both_nonces(void **state)
{
	uint8_t session_key[32], salt[32], want[32], key[16], swapped[16];

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		model_rng_bytes(&rng, session_key, sizeof(session_key));
		model_rng_bytes(&rng, salt, sizeof(salt));
		hkdf_by_hand(session_key, salt, want);
		assert_int_equal(ep_wire_trial_key(session_key, salt, salt + 16, key), 0);
		assert_memory_equal(key, want, 16);
		assert_int_equal(ep_wire_trial_key(session_key, salt + 16, salt, swapped), 0);
		assert_memory_not_equal(key, swapped, 16);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmac_gives_the_vectors_of_rfc_4493),
		cmocka_unit_test(tag_of_the_rfc_4493_block_is_its_first_32_bits),
		cmocka_unit_test(every_implementation_gives_cmac_for_every_count),
		cmocka_unit_test(auto_is_the_first_implementation_that_the_cpu_has),
		cmocka_unit_test(block_holds_what_the_tag_covers_and_no_marker),
		cmocka_unit_test(trial_key_is_hkdf_of_session_key_and_both_nonces),
	};

	rng = model_rng_seeded("wire_tag");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
