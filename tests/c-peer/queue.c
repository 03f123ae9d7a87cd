#include "queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AT_SHAPE 8
#define AT_TAIL 64
#define AT_FREE 128
#define AT_RETURNED 192
#define AT_RECEIVERS 256
#define AT_SENDERS 320
#define AT_SEATS 512
#define SEATS 512
#define FIRST_HASH 0xcbf29ce484222325u
#define SEAT_LEN 128
#define AT_STATES 66048
#define SLOT 64
#define HEAD 24
#define MESSAGE_HEAD 8
#define PART 128
#define POSITIONS ((uint64_t)1 << 52)

/* Offsets in a seat. */
enum { OCCUPANT = 0, MODE = 8, SIGNAL = 12, BELL = 16, SENT = 32, RECEIVED = 40, MARK = 64 };
enum status { WRITING = 1, READY = 2, AGAIN = 3, READING = 4, DONE = 5, ABORTED = 6 };

static uint64_t seat_at(uint32_t seat) { return AT_SEATS + (uint64_t)seat * SEAT_LEN; }
static _Atomic uint32_t *seat32(const struct queue *queue, uint32_t seat, unsigned offset) {
    return word32(&queue->segment, seat_at(seat) + offset);
}
static _Atomic uint64_t *seat64(const struct queue *queue, uint32_t seat, unsigned offset) {
    return word64(&queue->segment, seat_at(seat) + offset);
}

/* ---- states and positions ---- */

static uint64_t lap_of(const struct queue *queue, uint64_t position) { return position >> queue->bits; }
static uint64_t advance(uint64_t position, uint64_t slots) { return (position + slots) & (POSITIONS - 1); }
static _Atomic uint64_t *state_at(const struct queue *queue, uint64_t position) {
    return word64(&queue->segment, AT_STATES + (position & (queue->slots - 1)) * 8);
}
static uint64_t state(const struct queue *queue, uint64_t position, uint64_t slots, uint32_t seat, enum status status) {
    return lap_of(queue, position) << (12 + queue->bits) | (slots - 1) << 12 | (uint64_t)seat << 3 | status;
}
static enum status status_of(uint64_t state) { return (enum status)(state & 7); }
static uint32_t owner_of(uint64_t state) { return (uint32_t)(state >> 3 & 511); }
static uint64_t slots_of(const struct queue *queue, uint64_t state) { return (state >> 12 & (queue->slots - 1)) + 1; }
/* Is there a record at that position? */
static bool is_of(const struct queue *queue, uint64_t state, uint64_t position) {
    return state >> (12 + queue->bits) == lap_of(queue, position);
}
/* Is the state of a lap of the past, seen from the position? Laps wrap. */
static bool is_older(const struct queue *queue, uint64_t state, uint64_t position) {
    uint64_t laps = POSITIONS >> queue->bits;
    uint64_t behind = (lap_of(queue, position) - (state >> (12 + queue->bits))) & (laps - 1);
    return behind != 0 && behind < laps / 2;
}
/* Changes a record's status if it still is `seen`. */
static bool settle(const struct queue *queue, uint64_t position, uint64_t seen, uint32_t seat, enum status status) {
    uint64_t new = state(queue, position, slots_of(queue, seen), seat, status);
    return atomic_compare_exchange_strong(state_at(queue, position), &seen, new);
}

static uint8_t *record_at(const struct queue *queue, uint64_t position) {
    return queue->segment.data + queue->slots_at + (position & (queue->slots - 1)) * SLOT;
}
static uint64_t free_at(const struct queue *queue) { return atomic_load(word64(&queue->segment, AT_FREE)) >> 12; }

/* Calls `each` for the records from *free* on. */
typedef bool each_fn(struct queue *queue, uint64_t position, uint64_t state, void *context);
static void walk(struct queue *queue, each_fn *each, void *context) {
    uint64_t position = free_at(queue);
    for (uint64_t passed = 0; passed < queue->slots;) {
        uint64_t now = atomic_load_explicit(state_at(queue, position), memory_order_acquire);
        if (!is_of(queue, now, position)) {
            /* Others may have freed it, and used its slot again: what is behind it is still to be seen. */
            uint64_t free = free_at(queue), skipped = (free - position) & (POSITIONS - 1);
            if (skipped == 0 || skipped > queue->slots) return;
            position = free;
            passed += skipped;
            continue;
        }
        uint64_t slots = slots_of(queue, now);
        if ((position & (queue->slots - 1)) + slots > queue->slots) fail("a record beyond the ring");
        if (!each(queue, position, now, context)) return;
        position = advance(position, slots);
        passed += slots;
    }
}

/* ---- the files beside the segment ---- */

static void beside(const struct queue *queue, char path[256], const char *what) {
    const char *file = queue->segment.path, *prefix = "/dev/shm/interproc.";
    if (strncmp(file, prefix, strlen(prefix)) == 0) {
        snprintf(path, 256, "/dev/shm/interproc-q.%s.%016" PRIx64 ".%s", file + strlen(prefix), queue->segment.id_high, what);
    } else {
        snprintf(path, 256, "%s.q.%016" PRIx64 ".%s", file, queue->segment.id_high, what);
    }
}

/* ---- waiting and waking ---- */

static void ring(const struct queue *queue, uint32_t seat) {
    atomic_fetch_add_explicit(seat32(queue, seat, SIGNAL), 1, memory_order_release);
    switch (atomic_load(seat32(queue, seat, MODE))) {
    case 2:
        syscall(SYS_futex, seat32(queue, seat, SIGNAL), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
        break;
    case 1: {
        char path[256], what[64];
        snprintf(what, sizeof what, "bell-%u-%" PRIu64, seat, atomic_load(seat64(queue, seat, BELL)));
        beside(queue, path, what);
        int fifo = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fifo < 0) return; /* It has gone: then it looks by itself. */
        if (write(fifo, "!", 1) != 1 && errno != EAGAIN) fail("a bell");
        close(fifo);
    }
    }
}

static bool clear_bit(const struct queue *queue, uint64_t set, uint32_t seat) {
    uint64_t bit = (uint64_t)1 << seat % 64;
    return (atomic_fetch_and(word64(&queue->segment, set + seat / 64 * 8), ~bit) & bit) != 0;
}

/* Wakes up to `most` of those in a set. */
static void wake(const struct queue *queue, uint64_t set, uint32_t most) {
    atomic_thread_fence(memory_order_seq_cst);
    for (uint32_t seat = 0; seat < SEATS && most > 0; seat++) {
        uint64_t bits = atomic_load(word64(&queue->segment, set + seat / 64 * 8));
        if ((bits & (uint64_t)1 << seat % 64) == 0 || !clear_bit(queue, set, seat)) continue;
        ring(queue, seat);
        most--;
    }
}

static void recover(void *context, struct participant dead);

/* Waits until `attempt` succeeds, as a member of `set`. */
static void wait_for(struct queue *queue, uint64_t set, bool (*attempt)(struct queue *queue, void *context), void *context) {
    const struct timespec slice = { 0, 100000000 };
    _Atomic uint32_t *signal = seat32(queue, queue->seat, SIGNAL);
    if (attempt(queue, context)) return;
    atomic_store(seat32(queue, queue->seat, MODE), 2);
    for (;;) {
        uint32_t before = atomic_load(signal);
        atomic_fetch_or(word64(&queue->segment, set + queue->seat / 64 * 8), (uint64_t)1 << queue->seat % 64);
        atomic_thread_fence(memory_order_seq_cst);
        if (attempt(queue, context)) break;
        syscall(SYS_futex, signal, FUTEX_WAIT, before, &slice, NULL, 0);
        /* Whom nobody woke looks whether someone died. */
        if (atomic_load(signal) == before && segment_recover_dead(&queue->segment, recover, queue) > 0) {
            wake(queue, AT_RECEIVERS, SEATS);
            wake(queue, AT_SENDERS, SEATS);
        }
    }
    atomic_store(seat32(queue, queue->seat, MODE), 0);
    /* What we were woken for need not be what we found. */
    if (!clear_bit(queue, set, queue->seat)) wake(queue, set, 1);
}

/* ---- after a death ---- */

static uint32_t read32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* What was leased and not seen goes back. */
static void give_back(struct queue *queue, uint64_t position, uint64_t seen_state, uint32_t mark) {
    uint8_t *head = record_at(queue, position);
    uint32_t count = read32(head), start = read32(head + 8), base = read32(head + 12);
    uint32_t seen = queue->ack || mark < base ? 0 : mark - base;
    if (!queue->ack && start + (uint64_t)seen >= count) {
        settle(queue, position, seen_state, owner_of(seen_state), DONE);
        return;
    }
    uint64_t word = (uint64_t)(base + seen) << 32 | (start + seen);
    atomic_store((_Atomic uint64_t *)(void *)(head + 8), word);
    settle(queue, position, seen_state, owner_of(seen_state), AGAIN);
    atomic_fetch_add_explicit(word64(&queue->segment, AT_RETURNED), 1, memory_order_release);
}

static bool recover_record(struct queue *queue, uint64_t position, uint64_t now, void *context) {
    uint32_t seat = *(uint32_t *)context;
    if (owner_of(now) != seat) return true;
    if (status_of(now) == WRITING) settle(queue, position, now, seat, ABORTED);
    if (status_of(now) == READING) give_back(queue, position, now, atomic_load(seat32(queue, seat, MARK)));
    return true;
}

static uint64_t occupant(struct participant who) { return (uint64_t)who.generation << 32 | who.slot << 8 | 1; }

static void recover(void *context, struct participant dead) {
    struct queue *queue = context;
    for (uint32_t seat = 0; seat < SEATS; seat++) {
        /* Whichever handle of that process it was. */
        if ((atomic_load(seat64(queue, seat, OCCUPANT)) & ~(uint64_t)0xffff0000) != occupant(dead)) continue;
        walk(queue, recover_record, &seat);
        clear_bit(queue, AT_RECEIVERS, seat);
        clear_bit(queue, AT_SENDERS, seat);
        atomic_store(seat32(queue, seat, MODE), 0);
        atomic_store_explicit(seat64(queue, seat, OCCUPANT), 0, memory_order_release);
    }
}

/* ---- opening and closing ---- */

/* What it said is of the past, and counts in the upper half of its word. */
static void clear_mark(struct queue *queue) {
    _Atomic uint64_t *word = seat64(queue, queue->seat, MARK);
    uint64_t got = atomic_load(word);
    atomic_store(word, (got + (got >> 32)) << 32);
}

void queue_open(struct queue *queue, const char *place) {
    memset(queue, 0, sizeof *queue);
    segment_open(&queue->segment, place, KIND_QUEUE);
    uint64_t shape = atomic_load(word64(&queue->segment, AT_SHAPE));
    queue->bits = (uint32_t)shape;
    if (memcmp(queue->segment.data, "ipqueue1", 8) != 0 || queue->bits < 1 || queue->bits > 32) fail("no queue");
    queue->slots = (uint64_t)1 << queue->bits;
    queue->slots_at = (AT_STATES + 8 * queue->slots + 4095) / 4096 * 4096;
    if (queue->slots_at + queue->slots * SLOT > queue->segment.data_len) fail("a queue that is too small");
    queue->ack = (shape >> 32 & 1) != 0;
    queue->checked = (shape >> 33 & 1) != 0;
    segment_join(&queue->segment, recover, queue);
    segment_recover_dead(&queue->segment, recover, queue);
    for (uint32_t seat = 0; seat < SEATS; seat++) {
        uint64_t nobody = 0;
        if (!atomic_compare_exchange_strong(seat64(queue, seat, OCCUPANT), &nobody, occupant(queue->segment.own))) continue;
        queue->seat = seat;
        clear_mark(queue);
        return;
    }
    fail("512 handles have it");
}

void queue_close(struct queue *queue) {
    atomic_store_explicit(seat64(queue, queue->seat, OCCUPANT), 0, memory_order_release);
    struct queue closed = *queue;
    if (!segment_leave(&queue->segment)) return;
    /* The last one removes what is beside the segment. */
    char prefix[256], path[512];
    beside(&closed, prefix, "");
    DIR *folder = opendir("/dev/shm");
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        snprintf(path, sizeof path, "/dev/shm/%s", entry->d_name);
        if (strncmp(path, prefix, strlen(prefix)) == 0) unlink(path);
    }
    closedir(folder);
}

/* ---- sending ---- */

/* Passes what is done; true if there was any. */
static bool free_slots(struct queue *queue) {
    _Atomic uint64_t *word = word64(&queue->segment, AT_FREE);
    for (bool freed = false;;) {
        uint64_t before = atomic_load(word), position = before >> 12;
        uint64_t now = atomic_load_explicit(state_at(queue, position), memory_order_acquire);
        if (!is_of(queue, now, position) || (status_of(now) != DONE && status_of(now) != ABORTED)) return freed;
        uint64_t after = advance(position, slots_of(queue, now)) << 12 | (before & 4095);
        freed |= atomic_compare_exchange_strong(word, &before, after);
    }
}

struct claim {
    uint64_t slots;
    uint64_t position;
};

static bool try_claim(struct queue *queue, void *context) {
    struct claim *claim = context;
    _Atomic uint64_t *tail = word64(&queue->segment, AT_TAIL);
    for (;;) {
        uint64_t position = atomic_load(tail), expected = position;
        uint64_t seen = atomic_load(state_at(queue, position));
        if (is_of(queue, seen, position)) {
            atomic_compare_exchange_strong(tail, &expected, advance(position, slots_of(queue, seen)));
            continue;
        }
        /* The tail is history by now. */
        if (!is_older(queue, seen, position)) continue;
        uint64_t left = queue->slots - (position & (queue->slots - 1));
        uint64_t slots = left < claim->slots ? left : claim->slots;
        enum status status = left < claim->slots ? ABORTED : WRITING;
        uint64_t used = (position - free_at(queue)) & (POSITIONS - 1);
        if (used > queue->slots) continue;
        if (used + slots > queue->slots) {
            if (!free_slots(queue)) return false;
            continue;
        }
        uint64_t ours = state(queue, position, slots, queue->seat, status);
        if (!atomic_compare_exchange_strong(state_at(queue, position), &seen, ours)) continue;
        atomic_compare_exchange_strong(tail, &expected, advance(position, slots));
        claim->position = position;
        if (status == WRITING) return true;
    }
}

static uint64_t claim(struct queue *queue, uint64_t length) {
    struct claim claim = { (HEAD + length + SLOT - 1) / SLOT, 0 };
    wait_for(queue, AT_SENDERS, try_claim, &claim);
    return claim.position;
}

void queue_claim_only(struct queue *queue) { claim(queue, 1); }

static uint64_t mix(uint64_t hash, const void *bytes, uint64_t length) {
    for (uint64_t at = 0; at < length; at += 8) {
        uint64_t word;
        memcpy(&word, (const uint8_t *)bytes + at, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
        hash = hash << 23 | hash >> 41;
    }
    return hash;
}

static uint64_t checksum(uint64_t position, uint32_t count, const uint8_t *bytes, uint64_t length) {
    uint64_t head[3] = { position, count, length };
    return mix(mix(FIRST_HASH, head, sizeof head), bytes, length);
}

/* Writes a body into a file of its own, and gives what names it. */
static void write_part(struct queue *queue, const uint8_t *body, uint64_t length, uint64_t name[4]) {
    static uint64_t count;
    char path[256], what[64];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    name[0] = 0; /* Its receiver removes it. */
    name[1] = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec << 16 ^ ++count) * SEATS + queue->seat;
    name[2] = length;
    name[3] = mix(FIRST_HASH, name, 3 * sizeof name[0]);
    snprintf(what, sizeof what, "part-%016" PRIx64 "-%016" PRIx64, name[0], name[1]);
    beside(queue, path, what);
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0) fail(path);
    while (length > 0) {
        ssize_t written = write(file, body, length);
        if (written <= 0) fail(path);
        body += written;
        length -= (uint64_t)written;
    }
    close(file);
}

void queue_send(struct queue *queue, uint8_t tag, const void *body, uint64_t length) {
    uint64_t name[4], most = queue->slots / 4 > 0 ? queue->slots / 4 * SLOT : SLOT;
    if (length > most - HEAD - MESSAGE_HEAD) {
        write_part(queue, body, length, name);
        body = name, length = sizeof name, tag |= PART;
    }
    uint64_t padded = MESSAGE_HEAD + (length + 7) / 8 * 8;
    uint64_t position = claim(queue, padded);
    uint8_t *record = record_at(queue, position);
    uint32_t head[4] = { 1, (uint32_t)(padded / 8), 0, 0 };
    uint64_t message = length | (uint64_t)tag << 48, check = 0;
    memset(record + HEAD, 0, padded);
    memcpy(record + HEAD, &message, sizeof message);
    memcpy(record + HEAD + MESSAGE_HEAD, body, length);
    if (queue->checked) check = checksum(position, 1, record + HEAD, padded);
    memcpy(record, head, sizeof head);
    memcpy(record + 16, &check, sizeof check);
    uint64_t slots = (HEAD + padded + SLOT - 1) / SLOT;
    atomic_store_explicit(state_at(queue, position), state(queue, position, slots, queue->seat, READY), memory_order_release);
    atomic_fetch_add_explicit(seat64(queue, queue->seat, SENT), 1, memory_order_relaxed);
    wake(queue, AT_RECEIVERS, 1);
}

/* ---- receiving ---- */

/* Copies a record that is ours now, and checks it. */
static void copy_record(struct queue *queue) {
    uint64_t slots = slots_of(queue, queue->held_state);
    free(queue->record);
    queue->record = malloc(slots * SLOT);
    if (queue->record == NULL) fail("memory");
    memcpy(queue->record, record_at(queue, queue->held), slots * SLOT);
    queue->count = read32(queue->record);
    queue->start = read32(queue->record + 8);
    uint64_t length = (uint64_t)read32(queue->record + 4) * 8, check;
    memcpy(&check, queue->record + 16, sizeof check);
    if (queue->count < 1 || queue->count > 64 || queue->start >= queue->count || HEAD + length > slots * SLOT) fail("a damaged record");
    if (queue->checked && check != checksum(queue->held, queue->count, queue->record + HEAD, length)) fail("a record that did not reach the disk");
    uint64_t word = queue->start; /* base: this is the first record of the lease */
    atomic_store((_Atomic uint64_t *)(void *)(record_at(queue, queue->held) + 8), word);
    queue->next = 0;
    queue->offset = HEAD;
}

struct look {
    bool found;
    bool again;
    uint64_t writing[SEATS / 64]; /* whose records were passed by while they were written */
};

static bool try_take_record(struct queue *queue, uint64_t position, uint64_t now, void *context) {
    struct look *look = context;
    uint32_t owner = owner_of(now);
    if (status_of(now) == WRITING) look->writing[owner / 64] |= (uint64_t)1 << owner % 64;
    if (status_of(now) != READY && status_of(now) != AGAIN) return true;
    /* It writes one after the other: the one that we passed by is ready by now, and comes first. */
    look->again = (look->writing[owner / 64] >> owner % 64 & 1) != 0;
    if (look->again) return false;
    clear_mark(queue);
    if (!settle(queue, position, now, queue->seat, READING)) return true;
    queue->held = position;
    queue->held_state = state(queue, position, slots_of(queue, now), queue->seat, READING);
    look->found = true;
    return false;
}

static bool try_lease(struct queue *queue, void *context) {
    (void)context;
    struct look look;
    do {
        memset(&look, 0, sizeof look);
        walk(queue, try_take_record, &look);
    } while (look.again);
    if (look.found) copy_record(queue);
    return look.found;
}

static void read_part(struct queue *queue, struct message *message) {
    uint64_t name[4];
    char what[64];
    char *path = queue->part;
    if (message->length != sizeof name) fail("the name of a part");
    memcpy(name, message->body, sizeof name);
    if (name[3] != mix(FIRST_HASH, name, 3 * sizeof name[0])) fail("a damaged name of a part");
    snprintf(what, sizeof what, "part-%016" PRIx64 "-%016" PRIx64, name[0], name[1]);
    beside(queue, queue->part, what);
    queue->part_writer = name[0], queue->part_number = name[1];
    int file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    free(message->body);
    message->tag &= PART - 1;
    message->length = name[2];
    message->body = malloc(name[2]);
    if (file < 0 || message->body == NULL) fail(path);
    for (uint64_t got = 0; got < name[2];) {
        ssize_t count = read(file, message->body + got, name[2] - got);
        if (count <= 0) fail(path);
        got += (uint64_t)count;
    }
    close(file);
}

void queue_take(struct queue *queue, struct message *message) {
    if (queue->record == NULL) wait_for(queue, AT_RECEIVERS, try_lease, NULL);
    uint64_t head, end = HEAD + (uint64_t)read32(queue->record + 4) * 8;
    for (;; queue->next++) {
        if (queue->offset + MESSAGE_HEAD > end) fail("a damaged record");
        memcpy(&head, queue->record + queue->offset, sizeof head);
        message->length = head & 0xffffffffffff;
        message->tag = (uint8_t)(head >> 48);
        uint64_t begin = queue->offset + MESSAGE_HEAD;
        if (head >> 56 != 0 || message->length > end - begin) fail("a damaged message");
        queue->offset = begin + (message->length + 7) / 8 * 8;
        if (queue->next < queue->start) continue; /* It was received before the record came back. */
        message->body = malloc(message->length + 1);
        if (message->body == NULL) fail("memory");
        memcpy(message->body, queue->record + begin, message->length);
        if ((message->tag & PART) != 0) read_part(queue, message);
        queue->next++;
        /* From here on it counts as seen. */
        if (!queue->ack) atomic_store(seat32(queue, queue->seat, MARK), queue->next - queue->start);
        return;
    }
}

void queue_done(struct queue *queue) {
    atomic_fetch_add_explicit(seat64(queue, queue->seat, RECEIVED), 1, memory_order_relaxed);
    if (queue->next < queue->count) return;
    settle(queue, queue->held, queue->held_state, queue->seat, DONE);
    free(queue->record);
    queue->record = NULL;
    if (queue->part[0] != 0) {
        /* Its writer uses the file again, unless it is gone. */
        atomic_thread_fence(memory_order_seq_cst);
        uint64_t sits = atomic_load(seat64(queue, queue->part_number % SEATS, OCCUPANT));
        if (queue->checked || sits != queue->part_writer) unlink(queue->part);
    }
    queue->part[0] = 0;
    if (free_slots(queue)) wake(queue, AT_SENDERS, SEATS);
}

void queue_receive(struct queue *queue, struct message *message) {
    queue_take(queue, message);
    queue_done(queue);
}
