/*
 * A libcuda.so.1 for tests of the host's side: one device that poses as an NVIDIA GPU. Copies are real, kernels are counted and not run.
 *
 *   gcc -shared -fPIC -O2 -o libcuda.so.1 counting-cuda.c
 *
 * Environment, all optional:
 *   COUNTING_LOG     file that gets a line for each context, allocation and launch, and for the peak of memory when a context ends
 *   COUNTING_FREE    bytes of memory that are free (80 GiB in all)
 *   COUNTING_WARP    threads of a warp (32)
 *   COUNTING_REFUSE  what the compiler says of every kernel, which it then refuses with error 218
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef uintptr_t Handle;

enum { SUCCESS = 0, OUT_OF_MEMORY = 2, INVALID_PTX = 218 };
enum { JIT_ERROR_LOG = 5, JIT_ERROR_LOG_BYTES = 6 };

static const size_t total_bytes = (size_t)80 << 30;
static size_t taken_bytes, peak_bytes;
static int modules;

enum { MOST_BLOCKS = 65536 };
static struct { Handle place; size_t bytes; } blocks[MOST_BLOCKS];
static FILE *log_file;

#define LOG(...) do { if (log_file) { fprintf(log_file, __VA_ARGS__); fflush(log_file); } } while (0)

static size_t free_bytes(void)
{
    const char *given = getenv("COUNTING_FREE");
    size_t all = given ? strtoull(given, 0, 10) : total_bytes;
    return all > taken_bytes ? all - taken_bytes : 0;
}

int cuInit(unsigned flags)
{
    const char *name = getenv("COUNTING_LOG");
    if (name && !log_file)
        log_file = fopen(name, "a");
    return SUCCESS;
}

int cuDriverGetVersion(int *version) { *version = 12040; return SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return SUCCESS; }
int cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
int cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "Counting GPU"); return SUCCESS; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = total_bytes; return SUCCESS; }
int cuMemGetInfo_v2(size_t *free, size_t *total) { *free = free_bytes(); *total = total_bytes; return SUCCESS; }

int cuDeviceGetAttribute(int *value, int attribute, int device)
{
    const char *warp = getenv("COUNTING_WARP");
    switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;               /* threads of a group, in all and along x and y */
    case 4: *value = 64; break;                                 /* along z */
    case 5: *value = 2147483647; break;                         /* groups along x */
    case 6: case 7: *value = 65535; break;                      /* along y and z */
    case 8: *value = 49152; break;                              /* shared memory of a group */
    case 9: case 12: case 82: *value = 65536; break;            /* constants, registers of a group and of a multiprocessor */
    case 10: *value = warp ? atoi(warp) : 32; break;            /* warp */
    case 16: *value = 132; break;                               /* multiprocessors */
    case 39: *value = 2048; break;                              /* threads of a multiprocessor */
    case 75: *value = 9; break;                                 /* compute capability 9.0 */
    case 76: *value = 0; break;
    case 81: *value = 233472; break;                            /* shared memory of a multiprocessor */
    default: *value = 1; break;
    }
    return SUCCESS;
}

int cuCtxCreate_v2(Handle *context, unsigned flags, int device) { *context = 1; LOG("context\n"); return SUCCESS; }
int cuCtxDestroy_v2(Handle context) { LOG("peak %zu\n", peak_bytes); return SUCCESS; }
int cuCtxSetCurrent(Handle context) { return SUCCESS; }
int cuCtxSynchronize(void) { return SUCCESS; }
int cuCtxGetCacheConfig(int *config) { *config = 0; return SUCCESS; }
int cuCtxSetCacheConfig(int config) { return SUCCESS; }
int cuCtxGetSharedMemConfig(int *config) { *config = 0; return SUCCESS; }
int cuCtxSetSharedMemConfig(int config) { return SUCCESS; }
int cuDeviceCanAccessPeer(int *can, int device, int peer) { *can = 0; return SUCCESS; }
int cuCtxEnablePeerAccess(Handle context, unsigned flags) { return SUCCESS; }
int cuCtxDisablePeerAccess(Handle context) { return SUCCESS; }
int cuDeviceGetP2PAttribute(int *value, int attribute, int device, int peer) { *value = 0; return SUCCESS; }
int cuPointerGetAttribute(void *data, int attribute, Handle pointer) { *(int *)data = 2; return SUCCESS; }

/* Pages that nobody touches take no memory. */
int cuMemAlloc_v2(Handle *pointer, size_t bytes)
{
    int block = 0;
    void *place;
    LOG("alloc %zu\n", bytes);
    while (block < MOST_BLOCKS && blocks[block].place)
        block++;
    if (bytes > free_bytes() || block == MOST_BLOCKS)
        return OUT_OF_MEMORY;
    place = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED)
        return OUT_OF_MEMORY;
    blocks[block].place = *pointer = (Handle)place;
    blocks[block].bytes = bytes;
    taken_bytes += bytes;
    peak_bytes = taken_bytes > peak_bytes ? taken_bytes : peak_bytes;
    return SUCCESS;
}

int cuMemFree_v2(Handle pointer)
{
    for (int block = 0; block < MOST_BLOCKS; block++)
        if (blocks[block].place == pointer) {
            munmap((void *)pointer, blocks[block].bytes);
            taken_bytes -= blocks[block].bytes;
            blocks[block].place = 0;
            break;
        }
    return SUCCESS;
}

int cuMemAllocHost_v2(Handle *pointer, size_t bytes) { *pointer = (Handle)malloc(bytes); return SUCCESS; }
int cuMemFreeHost(Handle pointer) { free((void *)pointer); return SUCCESS; }
int cuMemHostRegister_v2(Handle pointer, size_t bytes, unsigned flags) { return SUCCESS; }
int cuMemHostUnregister(Handle pointer) { return SUCCESS; }
int cuMemHostGetDevicePointer_v2(Handle *pointer, Handle host, unsigned flags) { *pointer = host; return SUCCESS; }
int cuMemcpyAsync(Handle target, Handle source, size_t bytes, Handle stream) { memcpy((void *)target, (void *)source, bytes); return SUCCESS; }

/* New memory is zero already; what a program clears later is small. */
int cuMemsetD8Async(Handle target, unsigned char value, size_t bytes, Handle stream)
{
    if (bytes < (size_t)64 << 20)
        memset((void *)target, value, bytes);
    return SUCCESS;
}

int cuStreamCreate(Handle *stream, unsigned flags) { *stream = 7; return SUCCESS; }
int cuStreamCreateWithPriority(Handle *stream, unsigned flags, int priority) { *stream = 7; return SUCCESS; }
int cuStreamDestroy_v2(Handle stream) { return SUCCESS; }
int cuStreamSynchronize(Handle stream) { return SUCCESS; }

int cuGetErrorString(int error, const char **text) { *text = error == INVALID_PTX ? "a PTX JIT compilation failed" : "an error"; return SUCCESS; }

int cuModuleLoadDataEx(Handle *module, const char *text, unsigned count, const int *options, void **values)
{
    const char *refusal = getenv("COUNTING_REFUSE");
    if (refusal) {
        char *log = 0;
        size_t bytes = 0;
        for (unsigned i = 0; i < count; i++) {
            if (options[i] == JIT_ERROR_LOG)
                log = values[i];
            if (options[i] == JIT_ERROR_LOG_BYTES)
                bytes = (size_t)values[i];
        }
        if (log && bytes)
            snprintf(log, bytes, "%s", refusal);
        return INVALID_PTX;
    }
    *module = ++modules;
    return SUCCESS;
}

int cuModuleLoadData(Handle *module, const char *text) { return cuModuleLoadDataEx(module, text, 0, 0, 0); }
int cuModuleUnload(Handle module) { return SUCCESS; }
int cuModuleGetFunction(Handle *function, Handle module, const char *name) { *function = module; return SUCCESS; }

int cuLaunchKernel(
    Handle function, unsigned gx, unsigned gy, unsigned gz, unsigned tx, unsigned ty, unsigned tz, unsigned shared, Handle stream, void **arguments, void **extra)
{
    LOG("launch %lu %u %u\n", (unsigned long)function, gx * gy * gz, tx * ty * tz);
    return SUCCESS;
}

int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Handle function, int threads, size_t shared) { *blocks = 8; return SUCCESS; }
int cuOccupancyMaxPotentialBlockSize(int *grid, int *threads, Handle function, void *callback, size_t shared, int limit) { *grid = 132; *threads = 256; return SUCCESS; }
int cuEventCreate(Handle *event, unsigned flags) { *event = 1; return SUCCESS; }
int cuEventDestroy_v2(Handle event) { return SUCCESS; }
int cuEventQuery(Handle event) { return SUCCESS; }
int cuEventRecord(Handle event, Handle stream) { return SUCCESS; }
int cuEventSynchronize(Handle event) { return SUCCESS; }
int cuEventElapsedTime(float *milliseconds, Handle first, Handle last) { *milliseconds = 1; return SUCCESS; }
