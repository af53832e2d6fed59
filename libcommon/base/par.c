#include "libcommon/base/par.h"

#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "libcommon/base/cpu.h"
#include "libcommon/base/mem.h"

#define SPINS 4000 /* some 20 us, then sleep: a busy core must not be held against other programs */

struct par {
    int n;
    pthread_t *thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    unsigned generation; /* counts par_for calls; atomic */
    int sleeping;        /* under lock */
    int inside;          /* workers that may be looking at the call below; atomic */
    bool open;           /* there is one; atomic */
    bool stop;           /* atomic */
    long count, next; /* next is atomic */
    void (*fn)(void *ctx, long i, int thread);
    void *ctx;
};

struct start {
    struct par *p;
    int id;
};

static void drain(struct par *p, int id)
{
    long i;

    while ((i = __atomic_fetch_add(&p->next, 1, __ATOMIC_RELAXED)) < p->count)
        p->fn(p->ctx, i, id);
}

static unsigned wait_generation(struct par *p, unsigned seen)
{
    unsigned g;

    for (int i = 0; i < SPINS; i++) {
        g = __atomic_load_n(&p->generation, __ATOMIC_ACQUIRE);
        if (g != seen)
            return g;
        cpu_relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleeping++;
    while ((g = __atomic_load_n(&p->generation, __ATOMIC_ACQUIRE)) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    p->sleeping--;
    pthread_mutex_unlock(&p->lock);
    return g;
}

static void *worker(void *arg)
{
    struct start s = *(struct start *)arg;
    unsigned seen = 0;

    free(arg);
    for (;;) {
        seen = wait_generation(s.p, seen);
        if (__atomic_load_n(&s.p->stop, __ATOMIC_RELAXED))
            return NULL;
        /* in first, then a look: the caller closes first, then looks who is in */
        __atomic_fetch_add(&s.p->inside, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&s.p->open, __ATOMIC_SEQ_CST))
            drain(s.p, s.id);
        __atomic_fetch_sub(&s.p->inside, 1, __ATOMIC_RELEASE);
    }
}

static void start_thread(pthread_t *t, void *(*fn)(void *), void *arg)
{
    if (pthread_create(t, NULL, fn, arg) != 0)
        die("cannot start a thread");
}

struct par *par_new(int n)
{
    struct par *p = xcalloc(1, sizeof *p);

    p->n = n > 1 ? n : 1;
    p->thread = xcalloc((size_t)p->n, sizeof *p->thread);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    for (int i = 1; i < p->n; i++) {
        struct start *s = xmalloc(sizeof *s);

        *s = (struct start){ p, i };
        start_thread(&p->thread[i], worker, s);
    }
    return p;
}

static void announce(struct par *p)
{
    pthread_mutex_lock(&p->lock);
    __atomic_fetch_add(&p->generation, 1, __ATOMIC_RELEASE);
    if (p->sleeping)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

void par_free(struct par *p)
{
    if (!p)
        return;
    __atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
    announce(p);
    for (int i = 1; i < p->n; i++)
        pthread_join(p->thread[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p->thread);
    free(p);
}

int par_threads(const struct par *p)
{
    return p->n;
}

void par_for(struct par *p, long n, void (*fn)(void *ctx, long i, int thread), void *ctx)
{
    if (p->n == 1 || n <= 1) {
        for (long i = 0; i < n; i++)
            fn(ctx, i, 0);
        return;
    }
    p->fn = fn;
    p->ctx = ctx;
    p->count = n;
    __atomic_store_n(&p->next, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&p->open, true, __ATOMIC_SEQ_CST);
    announce(p);
    drain(p, 0);
    /* a worker that has not come by now is not waited for: its core may be another program's */
    __atomic_store_n(&p->open, false, __ATOMIC_SEQ_CST);
    for (int spins = 0; __atomic_load_n(&p->inside, __ATOMIC_SEQ_CST) > 0; spins++)
        if (spins < SPINS)
            cpu_relax();
        else
            sched_yield();
}

enum state { FREE, READ, WORKING, DONE };

struct line {
    const struct par_ordered *p;
    pthread_mutex_t lock;
    pthread_cond_t change;
    enum state *state;
    int *rc;
    struct err *errs;
    long n_read, n_begun, n_written; /* blocks handed to each stage */
    bool reading, writing, ended, failed;
    struct err err;
};

/* Each runs one stage unlocked and says whether there was one to run. */
static bool step_write(struct line *l)
{
    int slot = (int)(l->n_written % l->p->n_blocks);
    int rc;

    if (l->writing || l->n_written == l->n_begun || l->state[slot] != DONE)
        return false;
    l->writing = true;
    pthread_mutex_unlock(&l->lock);
    rc = l->rc[slot];
    if (rc == 0)
        rc = l->p->write(l->p->ctx, l->p->blocks[slot], &l->errs[slot]);
    pthread_mutex_lock(&l->lock);
    if (rc < 0) {
        l->failed = true;
        l->err = l->errs[slot];
    }
    l->state[slot] = FREE;
    l->n_written++;
    l->writing = false;
    return true;
}

static bool step_work(struct line *l, int thread)
{
    int slot = (int)(l->n_begun % l->p->n_blocks);

    if (l->n_begun == l->n_read || l->state[slot] != READ)
        return false;
    l->state[slot] = WORKING;
    l->n_begun++;
    if (l->rc[slot] == 0) { /* an error of read only waits for its turn to be reported */
        pthread_mutex_unlock(&l->lock);
        l->rc[slot] = l->p->work(l->p->ctx, l->p->blocks[slot], thread, &l->errs[slot]);
        pthread_mutex_lock(&l->lock);
    }
    l->state[slot] = DONE;
    return true;
}

static bool step_read(struct line *l)
{
    int slot = (int)(l->n_read % l->p->n_blocks);
    int rc;

    if (l->reading || l->ended || l->state[slot] != FREE)
        return false;
    l->reading = true;
    pthread_mutex_unlock(&l->lock);
    rc = l->p->read(l->p->ctx, l->p->blocks[slot], &l->errs[slot]);
    pthread_mutex_lock(&l->lock);
    l->reading = false;
    l->ended = rc <= 0;
    if (rc != 0) {
        l->rc[slot] = rc < 0 ? -1 : 0;
        l->state[slot] = READ;
        l->n_read++;
    }
    return true;
}

struct seat {
    struct line *l;
    int thread;
};

static void *run_line(void *arg)
{
    struct seat *s = arg;
    struct line *l = s->l;

    pthread_mutex_lock(&l->lock);
    while (!l->failed && !(l->ended && l->n_written == l->n_read)) {
        if (step_write(l) || step_work(l, s->thread) || step_read(l))
            pthread_cond_broadcast(&l->change);
        else
            pthread_cond_wait(&l->change, &l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

int par_ordered(const struct par_ordered *p, int jobs, struct err *err)
{
    struct line l = { .p = p };
    pthread_t *t;
    struct seat *seats;

    if (jobs < 1)
        jobs = 1;
    pthread_mutex_init(&l.lock, NULL);
    pthread_cond_init(&l.change, NULL);
    l.state = xcalloc((size_t)p->n_blocks, sizeof *l.state);
    l.rc = xcalloc((size_t)p->n_blocks, sizeof *l.rc);
    l.errs = xcalloc((size_t)p->n_blocks, sizeof *l.errs);
    t = xcalloc((size_t)jobs, sizeof *t);
    seats = xcalloc((size_t)jobs, sizeof *seats);
    for (int i = 0; i < jobs; i++)
        seats[i] = (struct seat){ &l, i };
    for (int i = 1; i < jobs; i++)
        start_thread(&t[i], run_line, &seats[i]);
    run_line(&seats[0]);
    for (int i = 1; i < jobs; i++)
        pthread_join(t[i], NULL);
    if (l.failed)
        *err = l.err;
    pthread_cond_destroy(&l.change);
    pthread_mutex_destroy(&l.lock);
    free(seats);
    free(t);
    free(l.errs);
    free(l.rc);
    free(l.state);
    return l.failed ? -1 : 0;
}
