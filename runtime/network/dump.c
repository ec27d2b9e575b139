/*
 * Records of a back end's frames, both ways, in pcap files (the format of libpcap 2.4,
 * microseconds): what -object filter-dump asks for. Time is the guest's wall clock. Each frame
 * is one write, so that a record of a killed machine is whole.
 */
#include "runtime/network/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PCAP_MAGIC = 0xa1b2c3d4, PCAP_MAJOR = 2, PCAP_MINOR = 4, PCAP_ETHERNET = 1 };

struct net_dump {
    int fd; /* -1: the host refused to write more */
    const char *file;
    u32 max; /* bytes kept of a frame */
    struct net_dump *next;
};

struct pcap_header {
    u32 magic;
    u16 major, minor;
    u32 zone, accuracy, max, link;
};
struct pcap_frame {
    u32 seconds, microseconds, kept, size;
};

static void write_all(struct net_dump *d, const void *data, size_t size)
{
    if (d->fd < 0 || write(d->fd, data, size) == (ssize_t)size)
        return;
    fprintf(stderr, "ring3: filter-dump: %s: %s; the record ends here\n", d->file,
            strerror(errno));
    close(d->fd);
    d->fd = -1;
}

void net_dump_add(struct net_backend *b, const char *file, u32 max)
{
    struct net_dump *d = calloc(1, sizeof(*d));
    struct pcap_header header = {
        PCAP_MAGIC, PCAP_MAJOR, PCAP_MINOR, 0, 0, max, PCAP_ETHERNET
    };

    check(d, "out of memory");
    d->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
    if (d->fd < 0)
        die("-object filter-dump: %s: %s", file, strerror(errno));
    d->file = file;
    d->max = max;
    d->next = b->dumps;
    b->dumps = d;
    write_all(d, &header, sizeof(header));
}

void net_dump_frame(struct net_backend *b, const u8 *frame, u32 size)
{
    u8 record[sizeof(struct pcap_frame) + FRAME_MAX];
    struct pcap_frame head = { 0 };
    u32 ns;

    if (!b->dumps)
        return;
    head.seconds = (u32)clock_wall(b->m, &ns);
    head.microseconds = ns / 1000;
    head.size = size;
    for (struct net_dump *d = b->dumps; d; d = d->next) {
        head.kept = size < d->max ? size : d->max;
        memcpy(record, &head, sizeof(head));
        memcpy(record + sizeof(head), frame, head.kept);
        write_all(d, record, sizeof(head) + head.kept);
    }
}

void net_dump_free(struct net_backend *b)
{
    struct net_dump *d;

    while ((d = b->dumps)) {
        b->dumps = d->next;
        if (d->fd >= 0)
            close(d->fd);
        free(d);
    }
}
