#include "xport_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longest line that is still decoded, so that the sentence can say how many bytes a key of another size has [B]. */
#define TEXT_BYTES_MAX 1024
#define RAW_BYTES_MAX (TEXT_BYTES_MAX / 4 * 3)

#define MODE_OTHERS (S_IRWXG | S_IRWXO)
#define MODE_BITS 07777

int
ep_xport_random(uint8_t *bytes, size_t len)
{
	if (RAND_bytes_ex(NULL, bytes, len, 0) == 1)
		return 0;
	ERR_clear_error();
	return -EIO;
}

int
ep_xport_keygen(char text[EP_XPORT_KEY_TEXT_BYTES])
{
	uint8_t key[EP_XPORT_KEY_BYTES];

	if (RAND_priv_bytes(key, sizeof(key)) != 1) {
		ERR_clear_error();
		return -EIO;
	}
	EVP_EncodeBlock((unsigned char *)text, key, sizeof(key));
	OPENSSL_cleanse(key, sizeof(key));
	return 0;
}

/*
 * EVP_DecodeBlock() passes over white space, and counts what padding stands for as zero bytes. So the bytes are
 * encoded again: only the one right way to write them gives the same text.
 *
 * @return how many bytes @p text holds, or -EINVAL.
 */
static int
base64_decode(const char *text, size_t len, uint8_t raw[RAW_BYTES_MAX])
{
	unsigned char again[TEXT_BYTES_MAX + 1];
	int count, same;

	if (len == 0 || len % 4 != 0)
		return -EINVAL;
	count = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len);
	if (count < 0 || (size_t)count != len / 4 * 3)
		return -EINVAL;
	count -= (text[len - 1] == '=') + (text[len - 2] == '=');
	EVP_EncodeBlock(again, raw, count);
	same = strlen((const char *)again) == len && memcmp(again, text, len) == 0;
	OPENSSL_cleanse(again, sizeof(again));
	return same ? count : -EINVAL;
}

static int
key_decode(const char *path, char *text, size_t len, uint8_t key[EP_XPORT_KEY_BYTES],
	struct ep_err *err)
{
	uint8_t raw[RAW_BYTES_MAX];
	int count, ret = 0;

	if (len > TEXT_BYTES_MAX)
		return ep_err_set(err, -EINVAL,
			"key file %s is too long: one line of 44 characters is needed", path);
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len == 0)
		return ep_err_set(err, -EINVAL,
			"key file %s is empty; \"everyport keygen\" prints a key", path);
	count = base64_decode(text, len, raw);
	if (count < 0)
		ret = ep_err_set(err, -EINVAL,
			"key file %s is not one line of base64; \"everyport keygen\" prints a key",
			path);
	else if (count != EP_XPORT_KEY_BYTES)
		ret = ep_err_set(err, -EINVAL, "key file %s holds %d bytes, %d are needed", path,
			count, EP_XPORT_KEY_BYTES);
	else
		memcpy(key, raw, EP_XPORT_KEY_BYTES);
	OPENSSL_cleanse(raw, sizeof(raw));
	return ret;
}

static int
key_file_check(const char *path, int fd, struct ep_err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ep_err_set(err, -errno, "key file %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return ep_err_set(err, -EINVAL, "key file %s is not a regular file", path);
	if (st.st_mode & MODE_OTHERS)
		return ep_err_set(err, -EACCES,
			"key file %s has mode %04o, others may use the key; run: chmod 600 %s",
			path, st.st_mode & MODE_BITS, path);
	return 0;
}

/* @return bytes read (more than TEXT_BYTES_MAX: there are more), or -errno. */
static ssize_t
file_read(int fd, char text[TEXT_BYTES_MAX + 1])
{
	size_t used = 0;

	while (used <= TEXT_BYTES_MAX) {
		const ssize_t got = read(fd, text + used, TEXT_BYTES_MAX + 1 - used);

		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

int
ep_xport_key_read(const char *path, uint8_t key[EP_XPORT_KEY_BYTES], struct ep_err *err)
{
	/* O_NONBLOCK: a FIFO in its place must not hang the program before it can be refused. */
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char text[TEXT_BYTES_MAX + 1];
	ssize_t len;
	int ret;

	if (fd < 0)
		return ep_err_set(err, -errno, "key file %s: %s", path, strerror(errno));
	ret = key_file_check(path, fd, err);
	if (ret < 0)
		goto out;
	len = file_read(fd, text);
	if (len < 0)
		ret = ep_err_set(err, (int)len, "key file %s: %s", path, strerror((int)-len));
	else
		ret = key_decode(path, text, (size_t)len, key, err);
	OPENSSL_cleanse(text, sizeof(text));
out:
	close(fd);
	return ret;
}
