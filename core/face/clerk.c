/* clerk - see clerk.h. */
#include "face/clerk.h"

#include "base/json.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
    CLERKS = 2,
    WAITING_MAX = 32, /* that no clerk has time for yet */
    IDLE_MS = 30 * 1000,
    WORK_MS = 10 * 60 * 1000, /* for one question: a drop of a million rows takes minutes */
    ANSWER_MAX = 64 * 1024 * 1024,
    HEAD_MAX = 32 * 1024,
    TAPE_MAX = 64 * 1024,
};

struct question {
    struct question *next;
    clerk_answer_fn *fn;
    void *arg;
    struct buf head; /* a line */
    struct slice body;
};

struct clerk {
    struct clerks *all;
    struct question *question; /* it works on; owned; NULL: none */
    uv_process_t process;
    uv_pipe_t in, out;
    uv_timer_t patience;
    uv_write_t write;
    struct buf answer; /* so far */
    int handles;       /* that the loop has */
    bool writing;      /* the question is on its way */
    bool gone;         /* its handles are being closed */
};

struct clerks {
    uv_loop_t *loop;
    struct log *log;
    struct clerk *clerk[CLERKS];
    struct question *first, **end; /* that wait for a clerk */
    size_t waiting;
    uv_idle_t begin; /* questions are given out from the loop alone */
    int handles;     /* of clerks, and its own */
    bool stopping;
};

static void free_question(struct question *q)
{
    buf_free(&q->head);
    free(q);
}

static void give_answer(struct question *q, struct clerk_answer *a)
{
    q->fn(q->arg, a);
    buf_free(&a->body);
    free_question(q);
}

static void fail(struct question *q, unsigned status, const char *what, const char *what_now)
{
    struct clerk_answer a = {.status = status};

    buf_init(&a.body, HEAD_MAX);
    json_add_object(&a.body, NULL);
    json_add_object(&a.body, "error");
    json_add_string(&a.body, "what", what);
    json_add_string(&a.body, "do", what_now);
    json_end(&a.body, "}}");
    give_answer(q, &a);
}

static void free_when_closed(struct clerks *c)
{
    if (c->handles == 0)
        free(c);
}

static void on_closed(uv_handle_t *handle)
{
    struct clerk *k = handle->data;
    struct clerks *all = k->all;

    if (--k->handles > 0)
        return;
    buf_free(&k->answer);
    free(k);
    all->handles--;
    free_when_closed(all);
}

static void close_one(uv_handle_t *handle)
{
    uv_close(handle, on_closed);
}

/* It takes no more questions; what it was at work on is nobody's. */
static struct question *dismiss(struct clerk *k)
{
    struct question *q = k->question;

    k->question = NULL;
    if (k->gone)
        return q;
    k->gone = true;
    for (int i = 0; i < CLERKS; i++)
        if (k->all->clerk[i] == k)
            k->all->clerk[i] = NULL;
    close_one((uv_handle_t *)&k->in);
    close_one((uv_handle_t *)&k->out);
    close_one((uv_handle_t *)&k->patience);
    return q;
}

static void wake(struct clerks *c);

static void lose(struct clerk *k, const char *what)
{
    struct clerks *all = k->all;
    struct question *q = dismiss(k);

    if (q == NULL)
        return;
    log_event(all->log, LOG_WARN, "admin.lost", LOG_FIELDS(log_text("reason", what)));
    fail(q, 500, what, "look whether it was done; what only reads can be asked again");
    wake(all);
}

static void on_ended(uv_process_t *process, int64_t status, int number)
{
    struct clerk *k = process->data;

    (void)status, (void)number;
    lose(k, "the process that worked on it ended");
    close_one((uv_handle_t *)&k->process);
}

static void on_patience(uv_timer_t *timer)
{
    struct clerk *k = timer->data;

    if (k->question == NULL) {
        (void)dismiss(k); /* its input ends */
        return;
    }
    (void)uv_process_kill(&k->process, SIGKILL); /* it may have ended just now */
    lose(k, "it took longer than ten minutes");
}

static void on_written(uv_write_t *write, int status)
{
    struct clerk *k = write->data;

    k->writing = false;
    if (status != 0 && !k->gone)
        lose(k, "the process that was to work on it does not listen");
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct clerk *k = handle->data;
    char *room = buf_reserve(&k->answer, suggested);

    *out = uv_buf_init(room, room != NULL ? (unsigned)suggested : 0); /* none: UV_ENOBUFS */
}

/* 1: it is read; 0: it is not all there; or an ERR_ code. Takes the body out of `b`. */
static int read_answer(struct buf *b, struct clerk_answer *a, struct buf *tape, struct err *err)
{
    const char *end = b->data != NULL ? memchr(b->data, '\n', b->len) : NULL;
    size_t line = end != NULL ? (size_t)(end - b->data) : 0;
    int64_t status = 0, len = -1;
    struct slice allow;
    struct json j;

    if (end == NULL)
        return b->len < HEAD_MAX ? 0 : err_set(err, ERR_INPUT, "a line that is too long");
    if (json_parse(&j, tape, b->data, line, err) != OK)
        return err->code;
    allow = json_member_text(&j, "allow");
    if (!json_member_int(&j, "status", &status) || !json_member_int(&j, "length", &len) || len < 0)
        return err_set(err, ERR_INPUT, "a line without status and length");
    if (b->len - line - 1 < (size_t)len)
        return 0;
    a->status = (unsigned)status;
    a->replayed = json_member(&j, j.tape, "replayed") != NULL;
    buf_init(&a->body, ANSWER_MAX);
    if (buf_append(&a->body, end + 1, (size_t)len) != OK)
        return err_set(err, ERR_NOMEM, "out of memory");
    a->allow = allow;
    return 1;
}

static void take_answer(struct clerk *k)
{
    struct clerk_answer a = {.status = 0};
    struct question *q = k->question;
    struct err err = {0};
    struct buf tape;
    int rc;

    buf_init(&tape, TAPE_MAX);
    rc = read_answer(&k->answer, &a, &tape, &err);
    if (rc == 1) {
        k->question = NULL;
        if (k->writing) /* it did not want to hear it all */
            (void)dismiss(k);
        else
            uv_timer_start(&k->patience, on_patience, IDLE_MS, 0);
        give_answer(q, &a);
        buf_free(&k->answer);
        buf_init(&k->answer, ANSWER_MAX);
        wake(k->all);
    } else if (rc < 0) {
        lose(k, err.text);
    }
    buf_free(&tape);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct clerk *k = stream->data;

    (void)buf;
    if (n > 0)
        k->answer.len += (size_t)n;
    if (n < 0 || (n > 0 && k->question == NULL))
        lose(k, n == UV_ENOBUFS ? "the answer is too long" : "the process that worked on it ended");
    else if (n > 0)
        take_answer(k);
}

static int start(struct clerk *k)
{
    static char file[] = "/proc/self/exe", name[] = "herald", word[] = "--clerk";
    char *words[] = {name, word, NULL};
    uv_stdio_container_t io[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&k->in},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&k->out},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    const uv_process_options_t options = {
        .exit_cb = on_ended, .file = file, .args = words, .stdio = io, .stdio_count = 3};

    return uv_spawn(k->all->loop, &k->process, &options);
}

/* NULL: the system has no process or no memory for it. */
static struct clerk *hire(struct clerks *c)
{
    struct clerk *k = calloc(1, sizeof *k);
    int rc;

    if (k == NULL)
        return NULL;
    k->all = c;
    buf_init(&k->answer, ANSWER_MAX);
    (void)uv_pipe_init(c->loop, &k->in, 0); /* none of these fails */
    (void)uv_pipe_init(c->loop, &k->out, 0);
    (void)uv_timer_init(c->loop, &k->patience);
    k->process.data = k->in.data = k->out.data = k->patience.data = k->write.data = k;
    k->handles = 4;
    c->handles++;
    rc = start(k);
    if (rc == 0)
        rc = uv_read_start((uv_stream_t *)&k->out, give_room, on_read);
    if (rc == 0)
        return k;
    log_event(c->log, LOG_WARN, "admin.no_process",
              LOG_FIELDS(log_text("reason", uv_strerror(rc))));
    (void)dismiss(k);
    if (k->process.pid > 0)
        (void)uv_process_kill(&k->process, SIGKILL);
    else
        close_one((uv_handle_t *)&k->process);
    return NULL;
}

static void give(struct clerk *k, struct question *q)
{
    uv_buf_t parts[] = {uv_buf_init(q->head.data, (unsigned)q->head.len), {.len = q->body.len}};

    memcpy(&parts[1].base, &q->body.data, sizeof parts[1].base); /* libuv only reads it */

    k->question = q;
    k->writing = true;
    uv_timer_start(&k->patience, on_patience, WORK_MS, 0);
    if (uv_write(&k->write, (uv_stream_t *)&k->in, parts, q->body.len > 0 ? 2 : 1, on_written) !=
        0) {
        k->writing = false;
        lose(k, "the process that was to work on it does not listen");
    }
}

static struct question *next_question(struct clerks *c)
{
    struct question *q = c->first;

    c->first = q->next;
    if (c->first == NULL)
        c->end = &c->first;
    c->waiting--;
    return q;
}

/* One that has nothing to do, or a place for one; NULL: all are at work. */
static struct clerk **free_clerk(struct clerks *c)
{
    struct clerk **place = NULL;

    for (int i = 0; i < CLERKS; i++) {
        if (c->clerk[i] != NULL && c->clerk[i]->question == NULL)
            return &c->clerk[i];
        if (c->clerk[i] == NULL)
            place = &c->clerk[i];
    }
    return place;
}

static void give_out(struct clerks *c)
{
    struct clerk **place;

    while (c->first != NULL && (place = free_clerk(c)) != NULL) {
        struct question *q = next_question(c);

        if (*place == NULL)
            *place = hire(c);
        if (*place != NULL)
            give(*place, q);
        else
            fail(q, 503, "no process can be started to work on it",
                 "free some memory, or ask later");
    }
}

static void on_begin(uv_idle_t *idle)
{
    uv_idle_stop(idle);
    give_out(idle->data);
}

static void wake(struct clerks *c)
{
    if (!c->stopping && c->first != NULL)
        uv_idle_start(&c->begin, on_begin);
}

int clerks_new(struct clerks **out, uv_loop_t *loop, struct log *log, struct err *err)
{
    struct clerks *c = calloc(1, sizeof *c);

    *out = c;
    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->loop = loop;
    c->log = log;
    c->end = &c->first;
    (void)uv_idle_init(loop, &c->begin); /* never fails */
    c->begin.data = c;
    c->handles = 1;
    return OK;
}

bool clerks_ask(struct clerks *c, struct slice head, struct slice body, clerk_answer_fn *fn,
                void *arg)
{
    struct question *q = c->waiting < WAITING_MAX ? calloc(1, sizeof *q) : NULL;

    if (q == NULL)
        return false;
    q->fn = fn;
    q->arg = arg;
    q->body = body;
    buf_init(&q->head, HEAD_MAX);
    buf_printf(&q->head, "{\"length\":%zu,", body.len);
    (void)buf_append(&q->head, head.data, head.len); /* a failure is remembered */
    (void)buf_text(&q->head, "}\n");
    if (q->head.failed) {
        free_question(q);
        return false;
    }
    *c->end = q;
    c->end = &q->next;
    c->waiting++;
    wake(c);
    return true;
}

static void on_begin_closed(uv_handle_t *handle)
{
    struct clerks *c = handle->data;

    c->handles--;
    free_when_closed(c);
}

static void end_clerk(struct clerk *k)
{
    struct question *q = dismiss(k);

    (void)uv_process_kill(&k->process, SIGTERM); /* it may have ended just now */
    if (q != NULL)
        fail(q, 503, "the router stops", "look whether it was done, once it runs again");
}

void clerks_stop(struct clerks **out)
{
    struct clerks *c = *out;

    *out = NULL;
    if (c == NULL)
        return;
    c->stopping = true;
    for (int i = 0; i < CLERKS; i++)
        if (c->clerk[i] != NULL)
            end_clerk(c->clerk[i]);
    while (c->first != NULL)
        fail(next_question(c), 503, "the router stops", "ask once it runs again");
    uv_close((uv_handle_t *)&c->begin, on_begin_closed);
}
