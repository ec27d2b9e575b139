/*
 * Images whose bytes are not the disk's: qcow2, VMDK, VDI and others, and a folder of the
 * host's as a FAT disk. Debian's qemu-nbd reads and writes them, a process for each image, and
 * libnbd talks to it.
 */
#ifndef RING3_NBD_H
#define RING3_NBD_H

#include "runtime/storage/formats.h"

/* As struct image_format's open(). */
struct image *nbd_open(const struct image_format *format, const struct image_request *want,
                       const char **error);

/* Makes a qcow2 image of `size` bytes whose backing file is `below`, of that format; refuses a file
 * that is there. Runs qemu-img and waits for it. NULL, or what went wrong. */
const char *nbd_create_overlay(const char *path, const char *below, const char *format,
                               u64 size);

#endif
