/* Calls of the C library on files below given folders are counted, and the n-th of a kind fails.

   Preloaded into a process (LD_PRELOAD), so that it sees what Python, HDF5 and SQLite do alike. It
   does nothing until `trust_arm` is called. Counts lie in memory that forks share. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, FSYNC, RENAME, LOCK, MKDIR, KINDS };
enum { SHORT = -1, DESCRIPTORS = 4096 };

struct tally { atomic_long calls[KINDS]; atomic_long fired; };

static struct tally *tally;
static int armed, kind_to_fail, failure;
static long n_to_fail;
static char folders[2][PATH_MAX];
static unsigned char ours[DESCRIPTORS]; /* descriptors of files below the folders */

#define NEXT(name) static __typeof__(name) *next; if (!next) next = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    tally = mmap(0, sizeof *tally, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

void trust_clear(void) { memset((void *)tally, 0, sizeof *tally); }
long trust_calls(int kind) { return atomic_load(&tally->calls[kind]); }
long trust_fired(void) { return atomic_load(&tally->fired); }

/* `error` is an errno, or SHORT: half of what was to be written is, once. n = 0 only counts. */
void trust_arm(const char *folder, const char *other, int kind, long n, int error) {
    snprintf(folders[0], PATH_MAX, "%s/", folder);
    snprintf(folders[1], PATH_MAX, "%s/", other);
    kind_to_fail = kind, n_to_fail = n, failure = error, armed = 1;
}

static int below(const char *path) {
    for (int i = 0; i < 2; i++)
        if (folders[i][1] && !strncmp(path, folders[i], strlen(folders[i]))) return 1;
    return 0;
}

/* Whether a path, relative to a descriptor of a folder, lies below the folders. */
static int meant(int at, const char *path) {
    char whole[2 * PATH_MAX], link[64];
    ssize_t size = 0;
    if (!armed || !path) return 0;
    if (path[0] == '/') return below(path);
    snprintf(link, sizeof link, at == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at);
    if ((size = readlink(link, whole, PATH_MAX)) < 0) return 0;
    snprintf(whole + size, sizeof whole - size, "/%s", path);
    return below(whole);
}

static int known(int fd) { return armed && fd >= 0 && fd < DESCRIPTORS && ours[fd]; }

/* Whether this call is the one that shall fail; then errno is set. */
static int fails(int kind) {
    if (atomic_fetch_add(&tally->calls[kind], 1) + 1 != n_to_fail || kind != kind_to_fail) return 0;
    atomic_fetch_add(&tally->fired, 1);
    errno = failure;
    return 1;
}

#define OPENER(name, given, at, ...)                                                              \
    int name(given const char *path, int flags, ...) {                                            \
        NEXT(name);                                                                               \
        va_list more;                                                                             \
        va_start(more, flags);                                                                    \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                   \
        va_end(more);                                                                             \
        int mine = meant(at, path);                                                               \
        if (mine && fails(OPEN)) return -1;                                                       \
        int fd = next(__VA_ARGS__ path, flags, mode);                                             \
        if (armed && fd >= 0 && fd < DESCRIPTORS) ours[fd] = mine;                                \
        return fd;                                                                                \
    }
#define COMMA ,
OPENER(open, , AT_FDCWD, )
OPENER(open64, , AT_FDCWD, )
OPENER(openat, int at COMMA, at, at COMMA)
OPENER(openat64, int at COMMA, at, at COMMA)

int close(int fd) {
    NEXT(close);
    if (fd >= 0 && fd < DESCRIPTORS) ours[fd] = 0;
    return next(fd);
}

#define SIMPLE(result, name, kind, mine, given, ...)                                              \
    result name given {                                                                           \
        NEXT(name);                                                                               \
        if ((mine) && fails(kind)) return -1;                                                     \
        return next(__VA_ARGS__);                                                                 \
    }
SIMPLE(ssize_t, read, READ, known(fd), (int fd, void *to, size_t n), fd, to, n)
SIMPLE(ssize_t, pread, READ, known(fd), (int fd, void *to, size_t n, off_t at), fd, to, n, at)
SIMPLE(ssize_t, pread64, READ, known(fd), (int fd, void *to, size_t n, off64_t at), fd, to, n, at)
SIMPLE(int, fsync, FSYNC, known(fd), (int fd), fd)
SIMPLE(int, fdatasync, FSYNC, known(fd), (int fd), fd)
SIMPLE(int, flock, LOCK, known(fd), (int fd, int how), fd, how)
SIMPLE(int, rename, RENAME, meant(AT_FDCWD, to), (const char *from, const char *to), from, to)
SIMPLE(int, renameat, RENAME, meant(at, to),
       (int from_at, const char *from, int at, const char *to), from_at, from, at, to)
SIMPLE(int, mkdir, MKDIR, meant(AT_FDCWD, path), (const char *path, mode_t mode), path, mode)

#define WRITER(name, given, ...)                                                                  \
    ssize_t name given {                                                                          \
        NEXT(name);                                                                               \
        if (known(fd) && fails(WRITE)) {                                                          \
            if (failure != SHORT) return -1;                                                      \
            n = n > 1 ? n / 2 : n;                                                                \
        }                                                                                         \
        return next(__VA_ARGS__);                                                                 \
    }
WRITER(write, (int fd, const void *from, size_t n), fd, from, n)
WRITER(pwrite, (int fd, const void *from, size_t n, off_t at), fd, from, n, at)
WRITER(pwrite64, (int fd, const void *from, size_t n, off64_t at), fd, from, n, at)

#define CONTROL(name)                                                                             \
    int name(int fd, int what, ...) {                                                             \
        NEXT(name);                                                                               \
        va_list more;                                                                             \
        va_start(more, what);                                                                     \
        void *with = va_arg(more, void *);                                                        \
        va_end(more);                                                                             \
        int locks = what == F_SETLK || what == F_SETLKW || what == F_OFD_SETLK;                   \
        if (locks && known(fd) && fails(LOCK)) return -1;                                         \
        return next(fd, what, with);                                                              \
    }
CONTROL(fcntl)
CONTROL(fcntl64)
