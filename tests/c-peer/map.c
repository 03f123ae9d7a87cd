#include "map.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AT_BLOCKS 16
#define AT_KEY 24
#define AT_REBUILT 52
#define AT_BUCKETS 4096
#define BLOCK 128
#define COUNTERS 4096
#define AT_NAMES 36864
#define NAME_LEN 256

/* Offsets in a head block. */
enum {
    STAMP = 0, NEXT = 8, CHAIN = 12, NEWER = 16, OLDER = 20, HASH = 24, KIND = 28, KEY_LEN = 32, VALUE_LEN = 36, BORN = 40, USED = 48, ENDS = 56,
    FIRST_BYTES = 64, MORE_BYTES = 12
};
/* Offsets in the data that only writers use. */
enum { AT_MUTEX = 0, AT_RELEASES = 8, AT_SLEEPS = 12, AT_LIFE = 40, AT_FRESH = 56, AT_FREE = 60, AT_FREE_COUNT = 64, AT_COUNT = 68, AT_NEWEST = 72,
       AT_OLDEST = 76, AT_TICK = 88, AT_NEXT_END = 96 };

struct map {
    struct segment segment;
    uint64_t blocks;
    uint64_t first;
};

/* What a look for a key came to. */
enum found { NOTHING, FOUND, AGAIN };

static void nothing(void *context, struct participant dead) {
    /* What the dead left is repaired by whoever takes the mutex. */
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

static void map_open(struct map *map, const char *place) {
    segment_open(&map->segment, place, KIND_MAP);
    map->blocks = load64(map, AT_BLOCKS);
    if (map->blocks < 1 || map->blocks > (uint64_t)1 << 30) fail("no map");
    map->first = (AT_BUCKETS + 4 * map->blocks + (map->blocks + 31) / 32 * 4 + 127) / 128 * 128;
    if (map->first + map->blocks * BLOCK > map->segment.data_len) fail("a map that is too small");
    segment_join(&map->segment, nothing, NULL);
}

struct value map_get(const char *place, const char *key) {
    struct map map;
    struct value value = { 0, 0, NULL };
    map_open(&map, place);
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

static void store32(const struct map *map, uint64_t offset, uint32_t value) {
    atomic_store_explicit(word32(&map->segment, offset), value, memory_order_relaxed);
}

static void store64(const struct map *map, uint64_t offset, uint64_t value) {
    atomic_store_explicit(word64(&map->segment, offset), value, memory_order_relaxed);
}

static void unlock(const struct map *map) {
    atomic_store(word64(&map->segment, AT_MUTEX), 0);
    if (atomic_exchange(word32(&map->segment, AT_SLEEPS), 0) == 0) return;
    atomic_fetch_add(word32(&map->segment, AT_RELEASES), 1);
    syscall(SYS_futex, word32(&map->segment, AT_RELEASES), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Takes the mutex. A map that is to be rebuilt is left to others. */
static void lock(const struct map *map) {
    const struct timespec pause = { 0, 1000000 };
    const uint64_t own = ((uint64_t)map->segment.own.slot + 1) << 32 | map->segment.own.generation;
    bool dead = false;
    for (uint64_t owner = 0; !atomic_compare_exchange_strong(word64(&map->segment, AT_MUTEX), &owner, own);) {
        const struct participant other = { (uint32_t)(owner >> 32) - 1, (uint32_t)owner };
        dead = !segment_is_alive(&map->segment, other);
        if (!dead) owner = 0, nanosleep(&pause, NULL);
    }
    uint32_t rebuilt = load32(map, AT_REBUILT);
    if (!dead && rebuilt % 2 == 0) return;
    store32(map, AT_REBUILT, rebuilt | 1);
    unlock(map);
    fail("the map is to be rebuilt, which this program leaves to others");
}

static uint32_t hash_of(const struct map *map, const char *key) {
    return (uint32_t)siphash(load64(map, AT_KEY), load64(map, AT_KEY + 8), key, strlen(key));
}

/* With the mutex: where the link is that leads to the key's entry; 0: there is none. */
static uint64_t link_to(const struct map *map, const char *key) {
    uint32_t hash = hash_of(map, key), link;
    uint64_t at = AT_BUCKETS + 4 * (hash % map->blocks);
    for (uint64_t steps = 0; (link = load32(map, at)) != 0 && steps <= map->blocks; steps++) {
        uint64_t head = block_at(map, link);
        if (head == 0) break;
        if (load32(map, head + HASH) == hash && load32(map, head + KEY_LEN) == strlen(key)) {
            uint8_t *bytes = bytes_of(map, head, strlen(key));
            bool same = bytes != NULL && memcmp(bytes, key, strlen(key)) == 0;
            free(bytes);
            if (same) return at;
        }
        at = head + CHAIN;
    }
    return 0;
}

static void out_of_order(const struct map *map, uint64_t head) {
    uint32_t newer = load32(map, head + NEWER), older = load32(map, head + OLDER);
    uint64_t newer_at = block_at(map, newer), older_at = block_at(map, older);
    store32(map, newer_at == 0 ? AT_NEWEST : newer_at + OLDER, older);
    store32(map, older_at == 0 ? AT_OLDEST : older_at + NEWER, newer);
}

static void to_newest(const struct map *map, uint32_t link) {
    uint64_t head = block_at(map, link);
    uint32_t newest = load32(map, AT_NEWEST);
    uint64_t newest_at = block_at(map, newest);
    store32(map, head + NEWER, 0);
    store32(map, head + OLDER, newest);
    store32(map, newest_at == 0 ? AT_OLDEST : newest_at + NEWER, link);
    store32(map, AT_NEWEST, link);
}

static void retire(const struct map *map, uint64_t head) {
    uint64_t stamp = load64(map, head + STAMP) / 4 * 4 + 2;
    atomic_store_explicit(word64(&map->segment, head + STAMP), stamp, memory_order_release);
}

/* Of an entry that no link leads to any more. */
static void end(const struct map *map, uint32_t link) {
    out_of_order(map, block_at(map, link));
    atomic_store_explicit(word64(&map->segment, block_at(map, link) + STAMP), 0, memory_order_release);
    atomic_thread_fence(memory_order_release);
    for (uint64_t block; (block = block_at(map, link)) != 0;) {
        uint32_t next = load32(map, block + NEXT);
        store32(map, block + NEXT, load32(map, AT_FREE));
        store32(map, AT_FREE, link);
        store32(map, AT_FREE_COUNT, load32(map, AT_FREE_COUNT) + 1);
        link = next;
    }
}

static void remove_at(const struct map *map, uint64_t link_at) {
    uint32_t link = load32(map, link_at);
    uint64_t head = block_at(map, link);
    retire(map, head);
    atomic_store_explicit(word32(&map->segment, link_at), load32(map, head + CHAIN), memory_order_release);
    store32(map, AT_COUNT, load32(map, AT_COUNT) - 1);
    end(map, link);
}

/* A link to a chain of blocks for so many bytes. */
static uint32_t reserve(const struct map *map, uint64_t bytes) {
    uint64_t count = 1 + (bytes <= BLOCK - FIRST_BYTES ? 0 : (bytes - (BLOCK - FIRST_BYTES) + BLOCK - MORE_BYTES - 1) / (BLOCK - MORE_BYTES));
    if (count > load32(map, AT_FREE_COUNT)) return 0;
    uint32_t before = 0;
    while (count-- > 0) {
        uint32_t link = load32(map, AT_FREE), fresh = load32(map, AT_FRESH);
        uint64_t block = block_at(map, link == 0 ? fresh + 1 : link);
        if (block == 0 || (link != 0 && load64(map, block + STAMP) != 0)) fail("a block that is not free");
        if (link != 0) store32(map, AT_FREE, load32(map, block + NEXT));
        else store64(map, block + STAMP, 0), store32(map, AT_FRESH, fresh + 1), link = fresh + 1;
        store32(map, AT_FREE_COUNT, load32(map, AT_FREE_COUNT) - 1);
        store32(map, block + NEXT, before);
        before = link;
    }
    return before;
}

/* Writes bytes of an entry from its byte `at` on. */
static void write_bytes(const struct map *map, uint32_t link, uint64_t at, const void *bytes, uint64_t length) {
    uint64_t done = 0, begin = FIRST_BYTES;
    for (uint64_t block; done < length && (block = block_at(map, link)) != 0; link = load32(map, block + NEXT)) {
        uint64_t room = BLOCK - begin;
        if (at < room) {
            uint64_t part = room - at < length - done ? room - at : length - done;
            memcpy(map->segment.data + block + begin + at, (const uint8_t *)bytes + done, part);
            done += part;
            at = 0;
        } else {
            at -= room;
        }
        begin = MORE_BYTES;
    }
}

/* False: there is no room. */
static bool set(const struct map *map, const char *key, struct value value) {
    uint64_t old_at = link_to(map, key);
    if (old_at != 0 && has_ended(map, block_at(map, load32(map, old_at)))) remove_at(map, old_at), old_at = 0;
    uint32_t link = reserve(map, strlen(key) + value.length);
    if (link == 0) return false;
    uint64_t head = block_at(map, link), tick = load64(map, AT_TICK) % (((uint64_t)1 << 53) - 1) + 1;
    uint64_t life = load64(map, AT_LIFE), ends = 0, next_end = load64(map, AT_NEXT_END);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (life != 0) ends = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + life;
    atomic_fetch_and(word32(&map->segment, AT_BUCKETS + 4 * map->blocks + (link - 1) / 32 * 4), ~((uint32_t)1 << (link - 1) % 32));
    store64(map, AT_TICK, tick);
    uint32_t old = old_at == 0 ? 0 : load32(map, old_at), hash = hash_of(map, key);
    store32(map, head + KEY_LEN, (uint32_t)strlen(key));
    store32(map, head + VALUE_LEN, (uint32_t)value.length);
    store32(map, head + KIND, value.kind);
    store32(map, head + HASH, hash);
    store64(map, head + BORN, old == 0 ? tick : load64(map, block_at(map, old) + BORN));
    store64(map, head + USED, tick);
    store64(map, head + ENDS, ends);
    write_bytes(map, link, 0, key, strlen(key));
    write_bytes(map, link, strlen(key), value.bytes, value.length);
    if (ends != 0 && (next_end == 0 || ends < next_end)) store64(map, AT_NEXT_END, ends);
    atomic_store_explicit(word64(&map->segment, head + STAMP), tick * 4 + 1, memory_order_release);
    uint64_t bucket = AT_BUCKETS + 4 * (hash % map->blocks);
    if (old != 0) retire(map, block_at(map, old));
    store32(map, head + CHAIN, load32(map, old == 0 ? bucket : block_at(map, old) + CHAIN));
    atomic_store_explicit(word32(&map->segment, old == 0 ? bucket : old_at), link, memory_order_release);
    if (old == 0) store32(map, AT_COUNT, load32(map, AT_COUNT) + 1);
    else end(map, old);
    to_newest(map, link);
    return true;
}

void map_set(const char *place, const char *key, struct value value) {
    struct map map;
    map_open(&map, place);
    lock(&map);
    bool stored = set(&map, key, value);
    unlock(&map);
    segment_leave(&map.segment);
    if (!stored) fail("the map has no room");
}

bool map_delete(const char *place, const char *key) {
    struct map map;
    map_open(&map, place);
    lock(&map);
    uint64_t at = link_to(&map, key);
    bool there = at != 0 && !has_ended(&map, block_at(&map, load32(&map, at)));
    if (at != 0) remove_at(&map, at);
    unlock(&map);
    segment_leave(&map.segment);
    return there;
}

void map_churn(const char *place) {
    struct map map;
    char key[32], text[1100];
    map_open(&map, place);
    for (unsigned i = 0;; i++) {
        snprintf(key, sizeof key, "c %u", i % 13);
        unsigned length = i * 7919 % 1000;
        int begun = snprintf(text, sizeof text, "\x01%u ", length);
        memset(text + begun, 'x', length);
        lock(&map);
        uint64_t at = link_to(&map, key);
        if (i % 3 == 0 && at != 0) remove_at(&map, at);
        else if (!set(&map, key, (struct value) { 2, (uint64_t)begun + length, (uint8_t *)text })) fail("the map has no room");
        unlock(&map);
        if (i == 100) puts("churns"), fflush(stdout);
    }
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
