/* Files: map, read, replace durably, lock. A rename without fsync of the folder may be undone by a
 * crash. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static vt_status open_regular(const char *path, int *fd, size_t *size, vt_err *err) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
    if (*fd < 0)
        return vt_fail_errno(err, errno, "cannot open %s", path);
    if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(*fd);
        *fd = -1;
        return vt_fail(err, VT_E_IO, "cannot read %s: not a regular file", path);
    }
    *size = (size_t)st.st_size;
    return VT_OK;
}

static vt_status map(const char *path, int protection, int flags, vt_map *out, vt_err *err) {
    int fd;
    size_t size = 0;
    void *data;
    vt_status s = open_regular(path, &fd, &size, err);
    *out = (vt_map){0};
    if (s != VT_OK)
        return s;
    if (size == 0) {
        close(fd);
        return VT_OK;
    }
    data = mmap(NULL, size, protection, flags, fd, 0);
    close(fd);
    if (data == MAP_FAILED)
        return vt_fail_errno(err, errno, "cannot map %s", path);
    *out = (vt_map){.data = data, .size = size};
    return VT_OK;
}

vt_status vt_file_map(const char *path, vt_map *out, vt_err *err) {
    return map(path, PROT_READ, MAP_PRIVATE, out, err);
}

/* No reserve: few of the pages are ever written to, and a strict count of all would refuse a file
 * that is larger than half of the memory. */
vt_status vt_file_map_private(const char *path, vt_map *out, vt_err *err) {
    return map(path, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, out, err);
}

void vt_map_release(vt_map *m) {
    if (m->data)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (vt_map){0};
}

/* Advice: where the kernel does not take it, pages come by faults. */
static void advise(const void *at, size_t n, int advice) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)at / page * page, end = (uintptr_t)at + n;
    (void)madvise((void *)first, end - first, advice);
}

void vt_map_populate(const void *at, size_t n) {
    advise(at, n, MADV_POPULATE_READ); /* Linux 5.14 */
}

void vt_map_prefetch(const void *at, size_t n) {
    advise(at, n, MADV_WILLNEED);
}

static vt_status read_all(int fd, const char *path, vt_buf *out, vt_err *err) {
    char piece[65536];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return vt_fail_errno(err, errno, "cannot read %s", path);
        if (n == 0 || out->failed != VT_OK)
            return vt_buf_status(out, path, err);
        vt_buf_append(out, piece, (size_t)n);
    }
}

vt_status vt_file_read(const char *path, vt_buf *out, vt_err *err) {
    int fd;
    size_t size = 0;
    vt_status s = open_regular(path, &fd, &size, err);
    if (s != VT_OK)
        return s;
    if (size > out->max) {
        close(fd);
        return vt_fail(err, VT_E_TOO_LARGE, "%s has %zu bytes, the limit is %zu", path, size,
                       out->max);
    }
    s = read_all(fd, path, out, err);
    close(fd);
    return s;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n) {
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

static vt_status sync_dir_of(const char *path, vt_err *err) {
    char *dir = vt_path_dir(path);
    int fd;
    vt_status s = VT_OK;
    if (!dir)
        return vt_fail_nomem(err, strlen(path));
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        s = vt_fail_errno(err, errno, "cannot sync folder %s", dir);
    if (fd >= 0)
        close(fd);
    free(dir);
    return s;
}

vt_status vt_file_rename(const char *from, const char *to, vt_err *err) {
    if (rename(from, to) != 0)
        return vt_fail_errno(err, errno, "cannot rename %s to %s", from, to);
    return sync_dir_of(to, err);
}

static vt_status write_parts(int fd, const char *path, const vt_span *parts, size_t n_parts,
                             vt_err *err) {
    bool written = true;
    for (size_t i = 0; written && i < n_parts; i++)
        written = write_all(fd, parts[i].data, parts[i].size);
    if (!written || fchmod(fd, 0644) != 0 || fsync(fd) != 0)
        return vt_fail_errno(err, errno, "cannot write %s", path);
    return VT_OK;
}

vt_status vt_file_replace(const char *path, const vt_span *parts, size_t n_parts, vt_err *err) {
    vt_buf part;
    int fd;
    vt_status s;
    vt_buf_init(&part, 1 << 16);
    vt_buf_printf(&part, "%s.part-XXXXXX", path); /* a name that nobody else writes to */
    s = vt_buf_status(&part, path, err);
    if (s != VT_OK)
        goto done;
    fd = mkostemp(part.data, O_CLOEXEC);
    if (fd < 0) {
        s = vt_fail_errno(err, errno, "cannot create %s", part.data);
        goto done;
    }
    s = write_parts(fd, part.data, parts, n_parts, err);
    close(fd);
    if (s == VT_OK)
        s = vt_file_rename(part.data, path, err);
    if (s != VT_OK)
        (void)unlink(part.data);
done:
    vt_buf_release(&part);
    return s;
}

vt_status vt_dir_ensure(const char *path, vt_err *err) {
    struct stat st;
    char *parent;
    vt_status s;
    if (stat(path, &st) == 0)
        return S_ISDIR(st.st_mode) ? VT_OK : vt_fail(err, VT_E_IO, "%s is not a folder", path);
    if (mkdir(path, 0755) == 0 || errno == EEXIST)
        return VT_OK;
    if (errno != ENOENT)
        return vt_fail_errno(err, errno, "cannot create folder %s", path);
    parent = vt_path_dir(path);
    if (!parent)
        return vt_fail_nomem(err, strlen(path));
    s = strcmp(parent, path) == 0 ? vt_fail(err, VT_E_IO, "cannot create folder %s", path)
                                  : vt_dir_ensure(parent, err);
    free(parent);
    if (s == VT_OK && mkdir(path, 0755) != 0 && errno != EEXIST)
        s = vt_fail_errno(err, errno, "cannot create folder %s", path);
    return s;
}

char *vt_path_join(const char *dir, const char *name) {
    vt_buf path;
    vt_buf_init(&path, SIZE_MAX - 1);
    if (name[0] == '/')
        return vt_strdup(name);
    vt_buf_printf(&path, "%s%s%s", dir, *dir && dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    if (path.failed != VT_OK)
        vt_buf_release(&path);
    return path.data;
}

char *vt_path_dir(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    if (n == 0)
        return vt_strdup(".");
    while (n > 1 && path[n - 1] == '/')
        n--;
    return vt_strndup(path, n);
}

static vt_status already_locked(int fd, const char *path, vt_err *err) {
    char pid[24] = "";
    ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
    uint64_t holder;
    if (n > 0 && pid[n - 1] == '\n')
        pid[n - 1] = 0;
    if (vt_parse_u64(pid, INT32_MAX, &holder))
        return vt_fail(err, VT_E_LOCKED, "%s is held by process %llu", path,
                       (unsigned long long)holder);
    return vt_fail(err, VT_E_LOCKED, "%s is held by another process", path);
}

vt_status vt_lock_acquire(const char *path, vt_lock *out, vt_err *err) {
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    vt_status s = VT_OK;
    out->fd = -1;
    if (fd < 0)
        return vt_fail_errno(err, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        s = errno == EWOULDBLOCK ? already_locked(fd, path, err)
                                 : vt_fail_errno(err, errno, "cannot lock %s", path);
    else if (ftruncate(fd, 0) != 0 || !write_all(fd, (const uint8_t *)pid, (size_t)n))
        s = vt_fail_errno(err, errno, "cannot write %s", path);
    if (s != VT_OK) {
        close(fd);
        return s;
    }
    out->fd = fd;
    return VT_OK;
}

void vt_lock_release(vt_lock *l) {
    if (l->fd >= 0)
        close(l->fd); /* closing gives the flock back */
    l->fd = -1;
}
