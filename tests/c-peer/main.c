/* A peer in C for the tests: c-peer ROLE ARGUMENTS. All it knows is in docs/segment-layout.md, docs/queue-layout.md, docs/map-layout.md
 * and docs/lock-layout.md (the mutex of maps): where it cannot do without more, those pages are to be mended. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "map.h"
#include "queue.h"

static void nothing(void *context, struct participant dead) {
    /* Plain bytes: nobody can leave them half-done. */
    (void)context;
    (void)dead;
}

/* Says what is in a buffer, and writes an answer behind it. */
static void buffer(const char *place) {
    struct segment segment;
    segment_open(&segment, place, KIND_BUFFER);
    segment_join(&segment, nothing, NULL);
    size_t length = strnlen((const char *)segment.data, segment.data_len);
    const char answer[] = ", and C was here";
    printf("%.*s\n", (int)length, (const char *)segment.data);
    if (length + sizeof answer <= segment.data_len) memcpy(segment.data + length, answer, sizeof answer);
    segment_leave(&segment);
}

static void send_some(const char *place, uint64_t count) {
    struct queue queue;
    char text[64];
    queue_open(&queue, place);
    for (uint64_t i = 0; i < count; i++) {
        int length = snprintf(text, sizeof text, "{\"from\":\"C\",\"i\":%" PRIu64 "}", i);
        queue_send(&queue, TAG_JSON, text, (uint64_t)length);
    }
    queue_close(&queue);
}

/* Sends back what comes, until the text "end". It is done with a message when that is sent: with acknowledgement none is lost, whenever
 * this program is killed. */
static void echo(const char *from, const char *to) {
    struct queue in, out;
    queue_open(&in, from);
    queue_open(&out, to);
    for (bool end = false; !end;) {
        struct message message;
        queue_take(&in, &message);
        end = message.tag == TAG_TEXT && message.length == 3 && memcmp(message.body, "end", 3) == 0;
        if (!end) queue_send(&out, message.tag, message.body, message.length);
        queue_done(&in);
        free(message.body);
    }
    queue_close(&in);
    queue_close(&out);
}

/* Receives one, and says so before it is done with it; then waits to be killed. */
static void hold(const char *place) {
    struct queue queue;
    struct message message;
    queue_open(&queue, place);
    queue_take(&queue, &message);
    printf("%.*s\n", (int)message.length, (const char *)message.body);
    fflush(stdout);
    pause();
}

/* Claims room, and never writes it: waits to be killed. */
static void claim_only(const char *place) {
    struct queue queue;
    queue_open(&queue, place);
    queue_claim_only(&queue);
    puts("claimed");
    fflush(stdout);
    pause();
}

static void receive_some(const char *place, uint64_t count) {
    struct queue queue;
    queue_open(&queue, place);
    puts("ready");
    for (fflush(stdout); count > 0; count--) {
        struct message message;
        queue_receive(&queue, &message);
        printf("%u %.*s\n", message.tag, (int)message.length, (const char *)message.body);
        fflush(stdout);
        free(message.body);
    }
    queue_close(&queue);
}

static void get(const char *place, const char *key) {
    struct value value = map_get(place, key);
    double number = 0;
    if (value.kind == 3 && value.length == sizeof number) memcpy(&number, value.bytes, sizeof number);
    switch (value.kind) {
    case 0: puts("nothing"); break;
    case 3: printf("number %.17g\n", number); break;
    case 2:
        if (value.length > 0 && value.bytes[0] == 1) printf("text %.*s\n", (int)value.length - 1, (const char *)value.bytes + 1);
        else printf("json %.*s\n", (int)value.length, (const char *)value.bytes);
        break;
    default: printf("%" PRIu64 " bytes\n", value.length);
    }
    free(value.bytes);
}

/* Stores a plain string. */
static void set(const char *place, const char *key, const char *text) {
    size_t length = strlen(text) + 1;
    uint8_t *bytes = malloc(length + 1);
    if (bytes == NULL) fail("malloc");
    bytes[0] = 1;
    memcpy(bytes + 1, text, length);
    map_set(place, key, (struct value) { 2, length, bytes });
    free(bytes);
}

int main(int argc, char **argv) {
    const char *role = argc > 2 ? argv[1] : "";
    const char *third = argc > 3 ? argv[3] : "";
    if (strcmp(role, "buffer") == 0) buffer(argv[2]);
    else if (strcmp(role, "send") == 0) send_some(argv[2], strtoull(third, NULL, 10));
    else if (strcmp(role, "receive") == 0) receive_some(argv[2], strtoull(third, NULL, 10));
    else if (strcmp(role, "echo") == 0) echo(argv[2], third);
    else if (strcmp(role, "hold") == 0) hold(argv[2]);
    else if (strcmp(role, "claim") == 0) claim_only(argv[2]);
    else if (strcmp(role, "get") == 0) get(argv[2], third);
    else if (strcmp(role, "set") == 0) set(argv[2], third, argc > 4 ? argv[4] : "");
    else if (strcmp(role, "delete") == 0) puts(map_delete(argv[2], third) ? "deleted" : "nothing");
    else if (strcmp(role, "churn") == 0) map_churn(argv[2]);
    else if (strcmp(role, "count") == 0) printf("%" PRId64 "\n", counter_add(argv[2], strtoll(third, NULL, 10)));
    else fail("c-peer ROLE PLACE [ARGUMENT]");
    return 0;
}
