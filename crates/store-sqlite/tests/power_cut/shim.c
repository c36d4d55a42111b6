// Preloaded into a process, writes down what it asks of the files under one folder: a journal from which `disk.rs` makes the folder as it
// would be after a power cut. It can end the process at a record of the journal, lose syncs, and fail writes or syncs.
//
// One lock spans a call and its record, so the journal has the order in which the calls took effect. Only a sync runs outside it: its
// record says how many records were there when it began, and only those does it cover.
//
// Maps are not seen. SQLite writes only its -shm file through one, and that file is made anew at the next opening.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, CLOSE, WRITE, SIZE, SYNC, RENAME, UNLINK };
enum { FDS = 4096, JOURNAL_FD = 900 };

struct record {
    uint32_t kind;
    int32_t fd;
    uint64_t at;
    uint64_t length;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root;
static int journal = -1;
static uint64_t records, records_max;
// Opening this file ends the process, too.
static const char *last_file;
static int loses_syncs;
// A file to be there while writes or syncs of the database fail with this number.
static const char *trigger;
static int fail_writes, fail_syncs;
// 1: under the root; 2: and a file of the database.
static unsigned char watched[FDS];

static uint64_t number(const char *name) {
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

__attribute__((constructor)) static void begin(void) {
    root = getenv("POWER_CUT_ROOT");
    const char *path = getenv("POWER_CUT_JOURNAL");
    if (!root || !path) return;
    records_max = number("POWER_CUT_RECORDS");
    last_file = getenv("POWER_CUT_LAST_FILE");
    loses_syncs = (int)number("POWER_CUT_LOSES_SYNCS");
    trigger = getenv("POWER_CUT_TRIGGER");
    fail_writes = (int)number("POWER_CUT_FAIL_WRITES");
    fail_syncs = (int)number("POWER_CUT_FAIL_SYNCS");
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    // Out of the way of the process's own numbers.
    journal = fcntl(fd, F_DUPFD_CLOEXEC, JOURNAL_FD);
    syscall(SYS_close, fd);
    if (journal < 0) abort();
}

static int under_root(const char *path) {
    return journal >= 0 && path && strncmp(path, root, strlen(root)) == 0;
}

static int is_watched(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }

static void put(const void *bytes, uint64_t length) {
    const char *from = bytes;
    while (length > 0) {
        ssize_t done = syscall(SYS_write, journal, from, length);
        if (done <= 0) abort();
        from += done;
        length -= (uint64_t)done;
    }
}

// With the lock held no call is half done: what the folder holds is exactly what the journal says.
static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

// Called with the lock held; leaves `errno` alone.
static void append(uint32_t kind, int fd, uint64_t at, const void *bytes, uint64_t length) {
    int kept = errno;
    struct record record = {kind, fd, at, length};
    put(&record, sizeof record);
    put(bytes, length);
    records += 1;
    if (records_max && records >= records_max) end();
    errno = kept;
}

static int faulty(int fd, int number_of_error) {
    if (!number_of_error || watched[fd] < 2 || !trigger) return 0;
    if (syscall(SYS_faccessat, AT_FDCWD, trigger, F_OK) != 0) return 0;
    errno = number_of_error;
    return 1;
}

static void watch(int fd, const char *path, int flags) {
    struct stat status;
    // SQLite opens folders, to sync their entries; those are taken as durable at once.
    if (fd >= FDS || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
    watched[fd] = strstr(path, "data.db") ? 2 : 1;
    append(OPEN, fd, (flags & O_TRUNC) != 0, path, strlen(path));
    if (last_file && strcmp(path, last_file) == 0) end();
}

static int open_file(int folder, const char *path, int flags, mode_t mode) {
    if (!under_root(path)) return (int)syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    if (fd >= 0) watch(fd, path, flags);
    pthread_mutex_unlock(&lock);
    return fd;
}

#define MODE(last)                                           \
    mode_t mode = 0;                                         \
    if (flags & (O_CREAT | __O_TMPFILE)) {                   \
        va_list more;                                        \
        va_start(more, last);                                \
        mode = va_arg(more, mode_t);                         \
        va_end(more);                                        \
    }

int open(const char *path, int flags, ...) { MODE(flags) return open_file(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_file(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) return open_file(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_file(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int close(int fd) {
    if (!is_watched(fd)) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    watched[fd] = 0;
    int done = (int)syscall(SYS_close, fd);
    append(CLOSE, fd, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return done;
}

// Where there is no offset, the file's own.
static ssize_t write_at(int fd, const void *bytes, size_t length, off_t at, int has_offset) {
    pthread_mutex_lock(&lock);
    ssize_t done = -1;
    if (!faulty(fd, fail_writes)) {
        off_t from = has_offset ? at : (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        done = has_offset ? syscall(SYS_pwrite64, fd, bytes, length, at) : syscall(SYS_write, fd, bytes, length);
        if (done > 0) append(WRITE, fd, (uint64_t)from, bytes, (uint64_t)done);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
    return is_watched(fd) ? write_at(fd, bytes, length, 0, 0) : syscall(SYS_write, fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
    return is_watched(fd) ? write_at(fd, bytes, length, at, 1) : syscall(SYS_pwrite64, fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { return pwrite(fd, bytes, length, at); }

// A short write is one that its caller goes on with.
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (!is_watched(fd)) return syscall(SYS_writev, fd, parts, count);
    for (int part = 0; part < count; part++)
        if (parts[part].iov_len) return write_at(fd, parts[part].iov_base, parts[part].iov_len, 0, 0);
    return 0;
}

static void append_size(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) abort();
    append(SIZE, fd, (uint64_t)status.st_size, NULL, 0);
}

int ftruncate(int fd, off_t size) {
    if (!is_watched(fd)) return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (done == 0) append_size(fd);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off_t size) { return ftruncate(fd, size); }

int fallocate(int fd, int mode, off_t at, off_t length) {
    if (!is_watched(fd)) return (int)syscall(SYS_fallocate, fd, mode, at, length);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_fallocate, fd, mode, at, length);
    if (done == 0) append_size(fd);
    pthread_mutex_unlock(&lock);
    return done;
}
int fallocate64(int fd, int mode, off_t at, off_t length) { return fallocate(fd, mode, at, length); }
int posix_fallocate(int fd, off_t at, off_t length) { return fallocate(fd, 0, at, length) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off_t at, off_t length) { return posix_fallocate(fd, at, length); }

static int sync_file(int fd, long call) {
    if (!is_watched(fd)) return (int)syscall(call, fd);
    if (loses_syncs) return 0;
    pthread_mutex_lock(&lock);
    uint64_t through = records;
    int failed = faulty(fd, fail_syncs);
    pthread_mutex_unlock(&lock);
    if (failed || syscall(call, fd) != 0) return -1;
    pthread_mutex_lock(&lock);
    append(SYNC, fd, through, NULL, 0);
    pthread_mutex_unlock(&lock);
    return 0;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    if (!under_root(from)) return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    if (done == 0) {
        size_t first = strlen(from) + 1, second = strlen(to);
        char both[first + second];
        memcpy(both, from, first);
        memcpy(both + first, to, second);
        append(RENAME, -1, 0, both, first + second);
    }
    pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *path) {
    if (!under_root(path)) return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0) append(UNLINK, -1, 0, path, strlen(path));
    pthread_mutex_unlock(&lock);
    return done;
}
