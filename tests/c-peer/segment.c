#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HEADER_LEN 512
#define AT_JOINS 512
#define AT_TABLE 4096
#define PARTICIPANTS 256
#define RECORD_LEN 64
#define TAKEN 1

__extension__ typedef unsigned __int128 uint128;

void fail(const char *what) {
    fprintf(stderr, "c-peer: %s (%s)\n", what, strerror(errno));
    exit(1);
}

uint64_t fnv64(const void *bytes, size_t len) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

/* FNV-1a with 128 bits, as 32 hexadecimal digits. */
static void hash_name(const char *name, char hex[33]) {
    uint128 hash = (uint128)0x6c62272e07bb0142u << 64 | 0x62b821756295c58du;
    const uint128 prime = (uint128)0x0000000001000000u << 64 | 0x000000000000013bu;
    for (; *name != 0; name++) hash = (hash ^ (uint8_t)*name) * prime;
    snprintf(hex, 33, "%016" PRIx64 "%016" PRIx64, (uint64_t)(hash >> 64), (uint64_t)hash);
}

static uint32_t u32_at(const uint8_t *bytes, size_t at) {
    uint32_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}

static uint64_t u64_at(const uint8_t *bytes, size_t at) {
    uint64_t value;
    memcpy(&value, bytes + at, sizeof value);
    return value;
}

_Atomic uint64_t *word64(const struct segment *segment, uint64_t offset) {
    if (offset % 8 != 0 || offset + 8 > segment->data_len) fail("a word outside the segment");
    return (_Atomic uint64_t *)(void *)(segment->data + offset);
}

_Atomic uint32_t *word32(const struct segment *segment, uint64_t offset) {
    if (offset % 4 != 0 || offset + 4 > segment->data_len) fail("a word outside the segment");
    return (_Atomic uint32_t *)(void *)(segment->data + offset);
}

static _Atomic uint64_t *record_of(const struct segment *segment, uint32_t slot) {
    return (_Atomic uint64_t *)(void *)(segment->memory + AT_TABLE + (size_t)slot * RECORD_LEN);
}

static struct flock byte_of(uint32_t slot, short type) {
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = AT_TABLE + (off_t)slot * RECORD_LEN, .l_len = 1 };
    return lock;
}

static bool lock_byte(const struct segment *segment, uint32_t slot, short type) {
    struct flock lock = byte_of(slot, type);
    if (fcntl(segment->fd, F_OFD_SETLK, &lock) == 0) return true;
    if (errno != EAGAIN && errno != EACCES) fail("F_OFD_SETLK");
    return false;
}

/* What the header says, if all of it is as it must be. */
static void check_header(struct segment *segment, enum kind kind, const char *name, const char *id) {
    uint8_t header[HEADER_LEN];
    struct stat stat;
    if (pread(segment->fd, header, HEADER_LEN, 0) != HEADER_LEN || fstat(segment->fd, &stat) != 0) fail("the header");
    segment->data_len = u64_at(header, 48);
    segment->total_len = u64_at(header, 56);
    segment->persistent = (u32_at(header, 16) & 1) != 0;
    segment->id_high = u64_at(header, 72);
    uint64_t data_offset = u64_at(header, 40);
    uint32_t name_len = u32_at(header, 88);
    bool good = memcmp(header, "interprc", 8) == 0 && u32_at(header, 8) == 1 && u32_at(header, 12) == 0x01020304 &&
        u32_at(header, 20) == (uint32_t)kind && u32_at(header, 24) == 8 * sizeof(void *) && u32_at(header, 28) == PARTICIPANTS &&
        u32_at(header, 32) == AT_TABLE && u32_at(header, 36) == RECORD_LEN && data_offset % (uint64_t)sysconf(_SC_PAGESIZE) == 0 &&
        data_offset >= 20480 && data_offset <= segment->total_len && segment->data_len <= segment->total_len - data_offset &&
        segment->total_len == (uint64_t)stat.st_size && name_len <= 200 && u64_at(header, 360) == fnv64(header, 360);
    if (!good) fail("the header is damaged, or of another version or kind");
    if (name != NULL && (strlen(name) != name_len || memcmp(header + 160, name, name_len) != 0)) fail("the hash of another name");
    char hex[33];
    snprintf(hex, sizeof hex, "%016" PRIx64 "%016" PRIx64, u64_at(header, 72), u64_at(header, 64));
    if (id != NULL && strcmp(id, hex) != 0) fail("the segment of the ticket is gone");
    segment->memory = mmap(NULL, segment->total_len, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
    if (segment->memory == MAP_FAILED) fail("mmap");
    segment->data = segment->memory + data_offset;
}

/* Says that we use the file. False: it is not there any more, begin again. */
static bool use_file(const struct segment *segment) {
    const struct timespec pause = { 0, 1000000 };
    struct stat stat;
    bool of_choice = strncmp(segment->path, "/dev/shm/", 9) != 0;
    for (int tries = 0; tries < 2000; tries++, nanosleep(&pause, NULL)) {
        bool unused = flock(segment->fd, LOCK_EX | LOCK_NB) == 0;
        uint8_t flags[4] = { 0 };
        if (unused && (pread(segment->fd, flags, 4, 16) != 4 || (flags[0] & 1) == 0)) {
            /* Nobody uses it, and it is not meant to stay. */
            unlink(segment->path);
            errno = ENOENT;
            fail(segment->path);
        }
        if (unused && of_choice) fail("nobody has the file open: it is to be put in order first, which this program leaves to others");
        if (flock(segment->fd, LOCK_SH | LOCK_NB) == 0) return fstat(segment->fd, &stat) == 0 && stat.st_nlink > 0;
    }
    fail("another process holds the file");
    return false;
}

void segment_open(struct segment *segment, const char *place, enum kind kind) {
    char hash[33], id[33];
    unsigned ticket_kind;
    bool ticket = sscanf(place, "interproc:%x:%32[0-9a-f]:%32[0-9a-f]", &ticket_kind, hash, id) == 3;
    if (!ticket) hash_name(place, hash);
    snprintf(segment->path, sizeof segment->path, "/dev/shm/interproc.%u.%s", geteuid(), hash);
    bool of_choice = strncmp(place, "file:", 5) == 0;
    if (of_choice) snprintf(segment->path, sizeof segment->path, "%s", place + 5);
    do {
        struct stat stat;
        segment->fd = open(segment->path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (segment->fd < 0 || fstat(segment->fd, &stat) != 0) fail(segment->path);
        if (!S_ISREG(stat.st_mode) || stat.st_uid != geteuid() || (stat.st_mode & 077) != 0) fail("not ours");
    } while (!use_file(segment) && close(segment->fd) == 0);
    check_header(segment, kind, ticket || of_choice ? NULL : place, ticket ? id : NULL);
}

static void repair_if_dead(const struct segment *segment, uint32_t slot, recover_fn *recover, void *context) {
    uint64_t state = atomic_load_explicit(record_of(segment, slot), memory_order_acquire);
    if ((uint32_t)state == TAKEN) recover(context, (struct participant) { slot, (uint32_t)(state >> 32) });
}

void segment_join(struct segment *segment, recover_fn *recover, void *context) {
    for (uint32_t slot = 0; slot < PARTICIPANTS; slot++) {
        if (!lock_byte(segment, slot, F_WRLCK)) continue;
        _Atomic uint64_t *record = record_of(segment, slot);
        repair_if_dead(segment, slot, recover, context);
        uint32_t generation = (uint32_t)(atomic_load(record) >> 32) + 1;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        ((_Atomic uint32_t *)(void *)record)[2] = (uint32_t)getpid();
        record[2] = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
        atomic_store_explicit(record, (uint64_t)generation << 32 | TAKEN, memory_order_release);
        atomic_fetch_add((_Atomic uint64_t *)(void *)(segment->memory + AT_JOINS), 1);
        segment->own = (struct participant) { slot, generation };
        return;
    }
    fail("256 processes have it");
}

int segment_recover_dead(struct segment *segment, recover_fn *recover, void *context) {
    int found = 0;
    for (uint32_t slot = 0; slot < PARTICIPANTS; slot++) {
        if (slot == segment->own.slot || (uint32_t)atomic_load(record_of(segment, slot)) != TAKEN) continue;
        if (!lock_byte(segment, slot, F_WRLCK)) continue;
        uint64_t state = atomic_load_explicit(record_of(segment, slot), memory_order_acquire);
        if ((uint32_t)state == TAKEN) {
            repair_if_dead(segment, slot, recover, context);
            atomic_store_explicit(record_of(segment, slot), state & ~(uint64_t)UINT32_MAX, memory_order_release);
            found++;
        }
        lock_byte(segment, slot, F_UNLCK);
    }
    return found;
}

bool segment_is_alive(const struct segment *segment, struct participant other) {
    if (other.slot >= PARTICIPANTS) return false;
    if (atomic_load(record_of(segment, other.slot)) != ((uint64_t)other.generation << 32 | TAKEN)) return false;
    if (other.slot == segment->own.slot) return true;
    struct flock lock = byte_of(other.slot, F_WRLCK);
    if (fcntl(segment->fd, F_OFD_GETLK, &lock) != 0) fail("F_OFD_GETLK");
    return lock.l_type != F_UNLCK;
}

bool segment_leave(struct segment *segment) {
    uint64_t free_again = (uint64_t)segment->own.generation << 32;
    atomic_store_explicit(record_of(segment, segment->own.slot), free_again, memory_order_release);
    lock_byte(segment, segment->own.slot, F_UNLCK);
    bool last = !segment->persistent && flock(segment->fd, LOCK_EX | LOCK_NB) == 0;
    struct stat ours, there;
    if (last && fstat(segment->fd, &ours) == 0 && lstat(segment->path, &there) == 0 && ours.st_ino == there.st_ino) unlink(segment->path);
    munmap(segment->memory, segment->total_len);
    close(segment->fd);
    return last;
}
