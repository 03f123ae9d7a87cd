#include "map.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define AT_BLOCKS 16
#define AT_KEY 24
#define AT_REBUILT 52
#define AT_BUCKETS 4096
#define BLOCK 128
#define COUNTERS 4096
#define AT_NAMES 36864
#define NAME_LEN 256

/* Offsets in a head block. */
enum { STAMP = 0, NEXT = 8, CHAIN = 12, HASH = 24, KIND = 28, KEY_LEN = 32, VALUE_LEN = 36, ENDS = 56, FIRST_BYTES = 64, MORE_BYTES = 12 };

struct map {
    struct segment segment;
    uint64_t blocks;
    uint64_t first;
};

/* What a look for a key came to. */
enum found { NOTHING, FOUND, AGAIN };

static void nothing(void *context, struct participant dead) {
    /* What the dead left is repaired by whoever takes the mutex, which this program never does. */
    (void)context;
    (void)dead;
}

static uint64_t rotate(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

static void sip_rounds(uint64_t v[4], int rounds) {
    while (rounds-- > 0) {
        v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
        v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
    }
}

/* SipHash-1-3 (https://www.aumasson.jp/siphash/siphash.pdf). */
static uint64_t siphash(uint64_t k0, uint64_t k1, const char *bytes, size_t length) {
    uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u };
    for (size_t at = 0; at <= length; at += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, length - at < 8 ? length - at : 8);
        if (length - at < 8) word |= (uint64_t)length << 56;
        v[3] ^= word;
        sip_rounds(v, 1);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    sip_rounds(v, 3);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint32_t load32(const struct map *map, uint64_t offset) {
    return atomic_load_explicit(word32(&map->segment, offset), memory_order_acquire);
}

static uint64_t load64(const struct map *map, uint64_t offset) {
    return atomic_load_explicit(word64(&map->segment, offset), memory_order_acquire);
}

/* Where the block of a link (its number + 1) begins; 0: there is none. */
static uint64_t block_at(const struct map *map, uint32_t link) {
    return link == 0 || link > map->blocks ? 0 : map->first + (uint64_t)(link - 1) * BLOCK;
}

/* Key and value of an entry, one after the other. NULL: they make no sense, so they are being changed. */
static uint8_t *bytes_of(const struct map *map, uint64_t block, uint64_t length) {
    if (length > map->blocks * BLOCK) return NULL;
    uint8_t *bytes = malloc(length + 1);
    uint64_t got = 0, begin = FIRST_BYTES;
    while (bytes != NULL && got < length) {
        uint64_t part = BLOCK - begin < length - got ? BLOCK - begin : length - got;
        memcpy(bytes + got, map->segment.data + block + begin, part);
        got += part;
        begin = MORE_BYTES;
        if (got < length && (block = block_at(map, load32(map, block + NEXT))) == 0) {
            free(bytes);
            return NULL;
        }
    }
    return bytes;
}

/* After anything was read of a head: was it that head all the time? */
static bool still(const struct map *map, uint64_t head, uint64_t stamp) {
    atomic_thread_fence(memory_order_acquire);
    uint64_t now = atomic_load_explicit(word64(&map->segment, head + STAMP), memory_order_relaxed);
    return now >> 2 == stamp >> 2;
}

static bool has_ended(const struct map *map, uint64_t head) {
    uint64_t ends = load64(map, head + ENDS);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ends != 0 && ends <= (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum found look(const struct map *map, const char *key, struct value *value) {
    size_t key_len = strlen(key);
    uint32_t hash = (uint32_t)siphash(load64(map, AT_KEY), load64(map, AT_KEY + 8), key, key_len);
    uint64_t link_at = AT_BUCKETS + 4 * (hash % map->blocks);
    for (uint64_t steps = 0; steps <= map->blocks; steps++) {
        uint32_t link = load32(map, link_at);
        if (link == 0) return NOTHING;
        uint64_t head = block_at(map, link);
        if (head == 0) return AGAIN;
        uint64_t stamp = load64(map, head + STAMP);
        if (load32(map, link_at) != link || stamp == 0) return AGAIN;
        if (load32(map, head + HASH) == hash && load32(map, head + KEY_LEN) == key_len) {
            uint64_t length = load32(map, head + VALUE_LEN);
            uint32_t kind = load32(map, head + KIND);
            uint8_t *bytes = bytes_of(map, head, key_len + length);
            bool ended = has_ended(map, head);
            if (bytes == NULL || !still(map, head, stamp)) {
                free(bytes);
                return AGAIN;
            }
            bool same = memcmp(bytes, key, key_len) == 0;
            if (same && !ended) {
                memmove(bytes, bytes + key_len, length);
                *value = (struct value) { kind, length, bytes };
                return FOUND;
            }
            free(bytes);
            if (same) return NOTHING;
        }
        if (!still(map, head, stamp)) return AGAIN;
        link_at = head + CHAIN;
    }
    return AGAIN;
}

struct value map_get(const char *place, const char *key) {
    struct map map;
    struct value value = { 0, 0, NULL };
    segment_open(&map.segment, place, KIND_MAP);
    map.blocks = load64(&map, AT_BLOCKS);
    if (map.blocks < 1 || map.blocks > (uint64_t)1 << 30) fail("no map");
    map.first = (AT_BUCKETS + 4 * map.blocks + (map.blocks + 31) / 32 * 4 + 127) / 128 * 128;
    if (map.first + map.blocks * BLOCK > map.segment.data_len) fail("a map that is too small");
    segment_join(&map.segment, nothing, NULL);
    for (int tries = 0; tries < 1000000; tries++) {
        uint32_t before = load32(&map, AT_REBUILT);
        enum found found = look(&map, key, &value);
        atomic_thread_fence(memory_order_acquire);
        if (found == FOUND || (found == NOTHING && before % 2 == 0 && load32(&map, AT_REBUILT) == before)) {
            segment_leave(&map.segment);
            return value;
        }
    }
    fail("the map is to be repaired by one who takes its mutex");
    return value;
}

int64_t counter_add(const char *name, int64_t by) {
    struct segment segment;
    segment_open(&segment, "interproc counters", KIND_COUNTERS);
    segment_join(&segment, nothing, NULL);
    size_t name_len = strlen(name);
    for (uint64_t number = 0; number < COUNTERS; number++) {
        uint64_t at = AT_NAMES + number * NAME_LEN;
        uint64_t len = atomic_load_explicit(word64(&segment, at), memory_order_acquire);
        if (len == 0) break;
        if (len != name_len || memcmp(segment.data + at + 8, name, name_len) != 0) continue;
        int64_t before = (int64_t)atomic_fetch_add(word64(&segment, number * 8), (uint64_t)by);
        segment_leave(&segment);
        return before + by;
    }
    fail("no such counter");
    return 0;
}
