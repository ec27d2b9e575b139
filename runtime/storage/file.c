/*
 * pread() and pwrite() of all bytes.
 */
#include "runtime/storage/file.h"

#include <errno.h>
#include <unistd.h>

bool file_read(int fd, u64 offset, void *buf, u64 n)
{
    for (u8 *to = buf; n;) {
        ssize_t got = pread(fd, to, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0)
            errno = 0;
        if (got <= 0)
            return false;
        to += got;
        offset += (u64)got;
        n -= (u64)got;
    }
    return true;
}

bool file_readv(int fd, u64 offset, const struct iovec *to, u32 count, u64 n)
{
    if (preadv(fd, to, (int)count, (off_t)offset) == (ssize_t)n)
        return true;
    for (u32 i = 0; i < count; offset += to[i++].iov_len)
        if (!file_read(fd, offset, to[i].iov_base, to[i].iov_len))
            return false;
    return true;
}

bool file_write(int fd, u64 offset, const void *buf, u64 n)
{
    for (const u8 *from = buf; n;) {
        ssize_t put = pwrite(fd, from, n, (off_t)offset);

        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = ENOSPC;
        if (put <= 0)
            return false;
        from += put;
        offset += (u64)put;
        n -= (u64)put;
    }
    return true;
}
