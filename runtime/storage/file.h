/*
 * Files of the host, read and written whole.
 */
#ifndef RING3_FILE_H
#define RING3_FILE_H

#include "runtime/base/base.h"

#include <sys/uio.h>

/* pread and pwrite of all n bytes, over signals and short counts. false: errno, 0 at end of
 * file. */
bool file_read(int fd, u64 offset, void *buf, u64 n);
bool file_readv(int fd, u64 offset, const struct iovec *to, u32 count, u64 n); /* n in all */
bool file_write(int fd, u64 offset, const void *buf, u64 n);

#endif
