/* Work queues, written from docs/queue-layout.md alone. */

#ifndef INTERPROC_QUEUE_H
#define INTERPROC_QUEUE_H

#include "segment.h"

enum tag { TAG_BYTES = 0, TAG_TEXT = 1, TAG_JSON = 2 };

struct queue {
    struct segment segment;
    uint32_t bits;
    uint64_t slots;    /* N */
    uint64_t slots_at; /* offset of the first */
    bool ack;
    bool checked;
    uint32_t seat;
    /* The record that we have, and the messages of it. */
    uint64_t held;
    uint64_t held_state;
    uint8_t *record;
    uint32_t start, count, next;
    uint64_t offset;
    uint64_t part_writer, part_number;
    char part[256]; /* the file with its only message's body */
};

struct message {
    uint8_t tag;
    uint64_t length;
    uint8_t *body; /* malloc */
};

void queue_open(struct queue *queue, const char *place);
void queue_close(struct queue *queue);
/* Waits while the queue is full. */
void queue_send(struct queue *queue, uint8_t tag, const void *body, uint64_t length);
/* Waits for a message, which is received then. */
void queue_receive(struct queue *queue, struct message *message);
/* The same in its two halves: what is between them and dies has given the message back. */
void queue_take(struct queue *queue, struct message *message);
void queue_done(struct queue *queue);
/* Claims room for a message, and never writes it. */
void queue_claim_only(struct queue *queue);

#endif
