/* Fuzzing what decodes foreign text: the first octet chooses the decoder, and what it took must come back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/codec.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void try_base64(const char *s, size_t n)
{
    struct buf plain = BUF_INIT, coded = BUF_INIT, again = BUF_INIT;
    if (base64_decode(&plain, s, n)) {
        base64_encode(&coded, plain.data, plain.len);
        require(base64_decode(&again, coded.data, coded.len));
        require(again.len == plain.len && !memcmp(again.data, plain.data, plain.len));
    } else {
        require(plain.len == 0);
    }
    buf_free(&plain);
    buf_free(&coded);
    buf_free(&again);
}

static void try_word_decode(const char *s, size_t n)
{
    struct buf out = BUF_INIT, visible = BUF_INIT;
    encoded_word_decode(&out, s, n);
    require(!utf8_valid(s, n) || utf8_valid(out.data, out.len));
    visible_encode(&visible, s, n);
    require(utf8_valid(visible.data, visible.len) && ascii_line_safe(visible.data, visible.len) && !strchr(visible.data, '\x1b'));
    buf_free(&out);
    buf_free(&visible);
}

static void try_word_encode(const char *s, size_t n)
{
    struct buf words = BUF_INIT, back = BUF_INIT;
    encoded_word_encode(&words, s, n);
    require(ascii_only(words.data, words.len) && ascii_line_safe(words.data, words.len));
    size_t at = 0;
    while (at < words.len) {
        size_t len = strcspn(words.data + at, " ");
        require(len <= 75);
        at += len + (words.data[at + len] == ' ');
    }
    encoded_word_decode(&back, words.data, words.len);
    bool plain = utf8_valid(s, n);
    for (size_t i = 0; i < n; i++)
        plain = plain && (unsigned char)s[i] >= ' ' && s[i] != 0x7f && (unsigned char)s[i] != 0xc2; /* C1 is shown as '?' */
    require(!plain || (back.len == n && !memcmp(back.data, s, n)));
    buf_free(&words);
    buf_free(&back);
}

static void try_json(const char *s, size_t n)
{
    struct buf value = BUF_INIT, object = BUF_INIT, again = BUF_INIT;
    if (json_member(s, n, "a", &value)) {
        struct json j = JSON_TO(&object);
        require(utf8_valid(value.data, value.len) && ascii_line_safe(value.data, value.len));
        json_begin_object(&j, NULL);
        json_string_n(&j, "a", value.data, value.len);
        json_end_object(&j);
        require(json_member(object.data, object.len, "a", &again));
        require(again.len == value.len && !memcmp(again.data, value.data, value.len));
    }
    buf_free(&value);
    buf_free(&object);
    buf_free(&again);
}

static void try_hex_and_xtext(const char *s, size_t n)
{
    struct buf coded = BUF_INIT, plain = BUF_INIT;
    xtext_encode(&coded, s, n);
    require(xtext_decode(&plain, coded.data, coded.len) && plain.len == n && !memcmp(plain.data, s, n));
    buf_reset(&coded);
    buf_reset(&plain);
    hex_encode(&coded, s, n, ":");
    require(hex_decode(&plain, coded.data, coded.len) == (n > 0) && plain.len == n && !memcmp(plain.data, s, n));
    buf_reset(&plain);
    if (!xtext_decode(&plain, s, n))
        require(plain.len == 0);
    buf_reset(&plain);
    if (!hex_decode(&plain, s, n))
        require(plain.len == 0);
    buf_free(&coded);
    buf_free(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(const char *s, size_t n) = { try_base64, try_word_decode, try_word_encode, try_json, try_hex_and_xtext };
    if (size < 1)
        return 0;
    char *exact = malloc(size); /* so that reading one octet too many is seen */
    if (!exact)
        return 0;
    memcpy(exact, data + 1, size - 1);
    tries[data[0] % (sizeof tries / sizeof *tries)](exact, size - 1);
    free(exact);
    return 0;
}
