/*
 * Shared shadows: spaces whose directories agree where the guest's kernel is share the sptes
 * for it, so that a new process does not start with a cold kernel.
 *
 *   space A's linear shadow table   [ A's own sptes      | the shared shadow's ]
 *   space B's linear shadow table   [ B's own sptes      | the shared shadow's ]   the same memory, mapped twice
 *   the shared shadow's own        [ nothing            | the shared shadow's ]   where C looks
 *
 * Which directory entries (regions) are shared is settled when the shared shadow is made, from
 * the directories of two spaces. What maps the memory is done once for each of the MAX_SPACES
 * shadow tables, not for each address space, as free tables wait for the next of their shared
 * shadow.
 *
 * Invariant: while a space of the shared shadow is current, each region's shared sptes come
 * from that space's own directory entry. entry[] tells from which value a region's sptes were
 * made. A switch to a space drops the regions where its entry is another; it looks only if
 * entry[] or its own directory has changed since it looked last. So spaces may disagree, for a
 * while or in some entries: they lose time by it, nothing else. One that keeps disagreeing goes
 * its own way.
 */
#include "mmu/pte.h"
#include "mmu/shadow.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Of a shared shadow's regions: each is two areas of the host for each space and table. Usermap.c
 * adds up who has how many. */
enum { MAX_RUNS = 6, MAX_QUARRELS = 32 };

#define FOR_BITS(bits, i)                                                                      \
    for (u32 word_ = 0; word_ < REGIONS / 64; word_++)                                         \
        for (u64 rest_ = (bits)[word_], i;                                                     \
             rest_ && (i = word_ * 64 + (u32)__builtin_ctzll(rest_), true); rest_ &= rest_ - 1)

/* ---- Directory entries ---- */

/* A directory's entries, read from guest memory. */
struct reader {
    const u8 *directory[4];
    u32 size;
};

static struct reader reader_of(const struct mmu *mmu, const struct root *root)
{
    struct reader r = { .size = entry_size(root) };
    u32 page;

    for (u32 d = 0; d < (r.size == 8 ? 4 : 1); d++)
        r.directory[d] = mmu_directory(mmu, root, d, &page);
    return r;
}

static u64 reader_entry(const struct reader *r, u32 region)
{
    const u8 *d = r->size == 8 ? r->directory[region >> 9] : r->directory[0];

    return d ? pte_read(d + (r->size == 8 ? (region & 511) * 8 : region * 4), r->size) : 0;
}

/* The CPU sets A and D in each directory by itself. */
static bool entries_alike(u64 a, u64 b)
{
    return !((a ^ b) & ~(u64)(PTE_A | PTE_D));
}

static u32 region_count(const struct root *r)
{
    return r->mode & SPACE_PAE ? REGIONS : REGIONS / 2;
}

/* ---- Entries of a shared shadow ---- */

static void entry_forget(struct mmu *mmu, struct shared_shadow *sh, u32 region)
{
    shadow_drop_region(mmu, sh->sptes, region);
    sh->filled[region / 64] &= ~(1ull << region % 64);
    sh->version++;
}

void shared_filled(struct mmu *mmu, struct space *s, u32 region, u64 entry)
{
    struct shared_shadow *sh = s->shared_shadow;
    bool filled = bit_test(sh->filled, region);

    if (likely(filled && sh->entry[region] == entry))
        return;
    if (filled && !entries_alike(sh->entry[region], entry))
        entry_forget(mmu, sh, region);
    sh->filled[region / 64] |= 1ull << region % 64;
    sh->entry[region] = entry;
    s->seen = ++sh->version;
}

void shared_entry_written(struct mmu *mmu, struct space *s, u32 region)
{
    s->seen = 0;
    if (s == mmu->space && bit_test(s->shared_shadow->filled, region))
        entry_forget(mmu, s->shared_shadow, region);
}

static void trace_directories(struct mmu *mmu, struct space *s)
{
    u32 page;

    for (u32 d = 0; d < 4; d++) {
        const u64 *bits = &s->shared_shadow->regions[d * REGIONS / 4 / 64];
        u64 any = 0;

        if (d && !(s->root.mode & SPACE_PAE))
            return;
        for (u32 i = 0; i < (s->root.mode & SPACE_PAE ? REGIONS / 4 : REGIONS / 2) / 64; i++)
            any |= bits[i];
        if (any && mmu_directory(mmu, &s->root, d, &page))
            shadow_trace_directory(mmu, s, page, d);
    }
}

bool shared_agree(struct mmu *mmu, struct space *s)
{
    struct shared_shadow *sh = s->shared_shadow;
    struct reader r;
    bool quarrel = false;

    sh->age = mmu->clock;
    if (likely(s->seen == sh->version))
        return true;
    trace_directories(mmu, s);
    r = reader_of(mmu, &s->root);
    FOR_BITS(sh->filled, i)
        if (reader_entry(&r, (u32)i) != sh->entry[i]) {
            entry_forget(mmu, sh, (u32)i);
            quarrel = true;
        }
    s->seen = sh->version;
    s->quarrels += quarrel;
    mmu->stats.shadow_quarrels += quarrel;
    return s->quarrels <= MAX_QUARRELS;
}

void shared_doubt(struct mmu *mmu)
{
    for (struct shared_shadow *sh = mmu->shareds; sh < mmu->shareds + MAX_SHARED; sh++)
        sh->version++;
    if (mmu->space && mmu->space->shared_shadow)
        shared_agree(mmu, mmu->space);
}

/* ---- Mapping ---- */

static bool map_run(struct mmu *mmu, struct space *s, const struct shared_shadow *sh, u32 first,
                    u32 end)
{
    u64 file = (u64)(sh - mmu->shareds) * SHADOW_BYTES, size = (u64)(end - first) * PAGE_SIZE;

    for (u32 t = 0; t < SHADOW_TABLES; t++) {
        u64 at = ((u64)t * COLUMNS + first) * PAGE_SIZE;

        if (mmap((u8 *)s->shadow + at, size, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED | MAP_NORESERVE, mmu->shared_fd,
                 (off_t)(file + at)) == MAP_FAILED)
            return false;
    }
    return true;
}

/* All its own again. */
static void unbind(struct mmu *mmu, struct space *s)
{
    if (!s->bound)
        return;
    check(mmap(s->shadow, SHADOW_BYTES, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED,
          "no memory for a shadow");
    madvise(s->shadow, SHADOW_BYTES, MADV_NOHUGEPAGE); /* as mmu_reserve() does */
    mmu->leaves -= s->leaves;
    s->leaves = 0;
    memset(s->resident, 0, sizeof(s->resident));
    s->bound = 0;
}

bool shared_bind(struct mmu *mmu, struct space *s, const struct shared_shadow *sh)
{
    u32 columns = sh ? 1u << (region_shift(&sh->sptes->root) - 9) : 0, end;

    if (s->bound == (sh ? sh->id : 0))
        return true;
    unbind(mmu, s);
    if (!sh)
        return true;
    s->bound = sh->id;
    for (u32 i = 0; i < REGIONS; i = end + 1) {
        for (end = i; end < REGIONS && bit_test(sh->regions, end); end++)
            ;
        if (end > i && !map_run(mmu, s, sh, i * columns, end * columns)) {
            unbind(mmu, s);
            return false;
        }
    }
    return true;
}

void shared_join(struct mmu *mmu, struct space *s, struct shared_shadow *sh)
{
    s->shared_shadow = sh;
    s->seen = 0;
}

/* ---- Making and finding ---- */

/* An entry of two directories: in neither, alike in both, or not to be shared. */
enum kinship { NOTHING, FOR_SUPERVISOR, FOR_USER, STRANGE };

static enum kinship entry_kinship(u64 a, u64 b)
{
    if (!((a | b) & PTE_P))
        return NOTHING;
    return !entries_alike(a, b) ? STRANGE : a & PTE_U ? FOR_USER : FOR_SUPERVISOR;
}

/*
 * Runs of regions that are alike in both or in neither. A run begins with one for supervisors
 * only: two directories of one process may be alike in its user part, which is no reason to
 * share that; but a kernel leaves its own regions to the tables below to protect. Returns how
 * many are in both; 0 if more are alike that would not be shared: such spaces are better off
 * with direct maps of their own.
 */
static u32 settle_shared(const struct mmu *mmu, u64 *shared, const struct root *a,
                         const struct root *b)
{
    struct reader ra = reader_of(mmu, a), rb = reader_of(mmu, b);
    u32 runs = 0, first = REGIONS, last = 0, count = region_count(a), both = 0, left = 0;

    memset(shared, 0, REGIONS / 8);
    for (u32 i = 0; i <= count && runs < MAX_RUNS; i++) {
        enum kinship k =
            i < count ? entry_kinship(reader_entry(&ra, i), reader_entry(&rb, i)) : STRANGE;

        if (k == FOR_SUPERVISOR || (k == FOR_USER && first < REGIONS)) {
            first = first < REGIONS ? first : i;
            last = i;
            both++;
        } else if (k == FOR_USER) {
            left++;
        } else if (k == STRANGE && first < REGIONS) {
            for (u32 j = first; j <= last; j++)
                shared[j / 64] |= 1ull << j % 64;
            first = REGIONS;
            runs++;
        }
    }
    return both >= left ? both : 0;
}

static void shared_free(struct mmu *mmu, struct shared_shadow *sh)
{
    for (struct space *s = mmu->spaces; s < mmu->spaces + MAX_SPACES; s++)
        if (s->live && s->shared_shadow == sh)
            space_free(mmu, s);
    space_clear(mmu, sh->sptes);
    sh->sptes->live = false;
    sh->id = 0;
}

/* One that is free, or the one not used for longest. NULL: the current space's is the only
 * one. */
static struct shared_shadow *shared_take(struct mmu *mmu)
{
    struct shared_shadow *old = NULL;

    for (struct shared_shadow *sh = mmu->shareds; sh < mmu->shareds + MAX_SHARED; sh++) {
        if (!sh->id)
            return sh;
        if (sh != mmu->space->shared_shadow && (!old || sh->age < old->age))
            old = sh;
    }
    if (old)
        shared_free(mmu, old);
    return old;
}

static bool shared_memory(struct mmu *mmu)
{
    if (mmu->shared_fd < 0) {
        mmu->shared_fd = memfd_create("shadow tables", MFD_CLOEXEC);
        if (mmu->shared_fd >= 0 &&
            ftruncate(mmu->shared_fd, MAX_SHARED * (off_t)SHADOW_BYTES)) {
            close(mmu->shared_fd);
            mmu->shared_fd = -1;
        }
    }
    return mmu->shared_fd >= 0;
}

/* The entries of the directory it was made from: nothing is filled from them yet, but who fits
 * shows. */
static void entries_take(const struct mmu *mmu, struct shared_shadow *sh, const struct root *r)
{
    struct reader reader = reader_of(mmu, r);

    memset(sh->filled, 0, sizeof(sh->filled));
    FOR_BITS(sh->regions, i) {
        sh->entry[i] = reader_entry(&reader, (u32)i);
        if (sh->entry[i] & PTE_P)
            sh->filled[i / 64] |= 1ull << i % 64;
    }
}

static struct shared_shadow *shared_new(struct mmu *mmu, const struct root *r,
                                        const u64 *shared, u32 both)
{
    struct shared_shadow *sh = shared_take(mmu);
    struct space *sptes;

    if (!sh || !shared_memory(mmu))
        return NULL;
    memcpy(sh->regions, shared, sizeof(sh->regions));
    sh->both = both;
    sptes = sh->sptes = &mmu->spaces[MAX_SPACES + (sh - mmu->shareds)];
    if (!sptes->shadow) {
        sptes->shadow =
            mmap(NULL, SHADOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                 mmu->shared_fd, (sh - mmu->shareds) * (off_t)SHADOW_BYTES);
        if (sptes->shadow == MAP_FAILED) {
            sptes->shadow = NULL;
            return NULL;
        }
    }
    space_begin(mmu, sptes);
    sptes->root = (struct root){ .mode = r->mode };
    entries_take(mmu, sh, r);
    sh->id = ++mmu->shared_id;
    sh->version = 1;
    mmu->stats.shared_shadows++;
    return sh;
}

/* How many of the shared shadow's entries the directory has; 0 if it has others in a fifth of
 * the places. */
static u32 count_agreeing(const struct mmu *mmu, const struct shared_shadow *sh,
                          const struct root *r)
{
    struct reader reader = reader_of(mmu, r);
    u32 yes = 0, no = 0;

    FOR_BITS(sh->filled, i)
        *(entries_alike(reader_entry(&reader, (u32)i), sh->entry[i]) ? &yes : &no) += 1;
    return yes >= 4 * no ? yes : 0;
}

static struct shared_shadow *shared_best(struct mmu *mmu, const struct root *r)
{
    struct shared_shadow *best = NULL;
    u32 most = 0, n;

    for (struct shared_shadow *sh = mmu->shareds; sh < mmu->shareds + MAX_SHARED; sh++)
        if (sh->id && sh->sptes->root.mode == r->mode &&
            (n = count_agreeing(mmu, sh, r)) > most) {
            best = sh;
            most = n;
        }
    return best;
}

struct shared_shadow *shared_find(struct mmu *mmu, const struct root *r,
                                  const struct space *other)
{
    u64 shared[REGIONS / 64];
    struct shared_shadow *best;
    u32 both;

    if (!(r->mode & SPACE_PAGING))
        return NULL;
    best = shared_best(mmu, r);
    if (!other || other->root.mode != r->mode || (best && other->shared_shadow == best) ||
        mmu->spaces_made < mmu->shared_due)
        return best;
    mmu->shared_due = mmu->spaces_made + ++mmu->shared_tries; /* less and less often */
    both = settle_shared(mmu, shared, r, &other->root);
    if (both <= (best ? 2 * best->both : 0))
        return best;
    return shared_new(mmu, r, shared, both);
}
