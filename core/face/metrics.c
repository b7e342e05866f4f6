/* metrics - see metrics.h. */
#include "face/metrics.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void begin(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP herald_%s %s\n# TYPE herald_%s %s\n", name, help, name, type);
}

static void number(struct buf *b, const char *name, const char *type, const char *help,
                   int64_t value)
{
    begin(b, name, type, help);
    buf_printf(b, "herald_%s %lld\n", name, (long long)value);
}

static void gauge(struct buf *b, const char *name, const char *help, int64_t value)
{
    number(b, name, "gauge", help, value);
}

static void counter(struct buf *b, const char *name, const char *help, int64_t value)
{
    char total[64];

    (void)snprintf(total, sizeof total, "%s_total", name);
    number(b, total, "counter", help, value);
}

static void put_seconds(struct buf *b, int64_t ms)
{
    buf_printf(b, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

void metrics_of_engine(struct buf *b, const struct engine_status *s, size_t paused,
                       int64_t log_lines_dropped)
{
    begin(b, "build_info", "gauge", "1; the version is its label");
    buf_printf(b, "herald_build_info{version=\"%s\"} 1\n", HERALD_VERSION);
#define X(name, meaning) counter(b, #name, meaning, s->counters->name);
    COUNTER_MAP(X)
#undef X
    counter(b, "reloads", "sets of rules that were taken", s->reloads);
    counter(b, "reloads_refused", "sets of rules that were refused", s->reloads_refused);
    counter(b, "spans", "spans that were exported", s->spans_sent);
    counter(b, "spans_dropped", "spans for which there was no room, or no collector",
            s->spans_dropped);
    counter(b, "log_lines_dropped", "lines that nobody read fast enough", log_lines_dropped);
    gauge(b, "running", "1: turns run; 0: the store or the machine is in trouble, or it stops",
          strcmp(s->state, "running") == 0);
    gauge(b, "broker_up", "1: connected, or embedded",
          strcmp(s->broker.word, "up") == 0 || strcmp(s->broker.word, "embedded") == 0);
    gauge(b, "broker_ready", "1: all that the rules name on the broker works", s->broker.ready);
    gauge(b, "in_flight", "publishes without the broker's word", (int64_t)s->broker.in_flight);
    gauge(b, "unacked", "deliveries that are not acknowledged yet", (int64_t)s->broker.unacked);
    gauge(b, "unacked_bytes", "bytes of them", (int64_t)s->broker.unacked_bytes);
    gauge(b, "subscriptions_paused", "subscriptions on which every message fails alike",
          (int64_t)paused);
    gauge(b, "rules_generation", "the set of rules in force", s->generation);
    gauge(b, "rules_waiting", "1: what lies on the disk is not in force yet, or was refused",
          s->rules_wait[0] != '\0' || s->rules_error[0] != '\0');
    gauge(b, "routes", "routes of the rules", (int64_t)s->routes);
    gauge(b, "subscriptions", "subscriptions of the rules", (int64_t)s->subscriptions);
    gauge(b, "handlers", "handlers of the rules", (int64_t)s->handlers);
    gauge(b, "script_memory_bytes", "memory of the rules", (int64_t)s->script_memory);
}

/* Pages of memory that the process has; 0: the kernel does not say. */
static int64_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    long long all = 0, resident = 0;

    if (f == NULL)
        return 0;
    if (fscanf(f, "%lld %lld", &all, &resident) != 2)
        resident = 0;
    (void)fclose(f); /* it was read */
    return resident * sysconf(_SC_PAGESIZE);
}

/* Room for the store that this process may use; below 0: unknown. */
static int64_t free_bytes(const char *store)
{
    struct statvfs s;

    return statvfs(store, &s) == 0 ? (int64_t)(s.f_bavail * s.f_frsize) : -1;
}

void metrics_of_process(struct buf *b, const char *store)
{
    struct rusage used;
    int64_t free = free_bytes(store);

    gauge(b, "resident_memory_bytes", "memory of the process", resident_bytes());
    if (getrusage(RUSAGE_SELF, &used) == 0) {
        begin(b, "cpu_seconds_total", "counter", "CPU time of the process");
        buf_text(b, "herald_cpu_seconds_total ");
        put_seconds(b, (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000 +
                           (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1000);
        buf_text(b, "\n");
    }
    if (free >= 0)
        gauge(b, "disk_free_bytes", "room on the disk of the store", free);
}

static int64_t late_ms(int64_t since, int64_t now_ms)
{
    return since > 0 && since < now_ms ? now_ms - since : 0;
}

void metrics_of_store(struct buf *b, const struct engine_backlog *backlog, int64_t now_ms)
{
    int64_t most = 0;

    begin(b, "outbox_rows", "gauge",
          "rows of the outbox, by why they wait; 10000 at most is counted");
    for (int c = 0; c < WAITING_CLASSES; c++) {
        const struct waiting_rows *rows = &backlog->outbox.rows[c];

        buf_printf(b, "herald_outbox_rows{state=\"%s\"} %lld\n",
                   waiting_word((enum waiting_class)c), (long long)rows->n);
        most = late_ms(rows->since, now_ms) > most ? late_ms(rows->since, now_ms) : most;
    }
    begin(b, "outbox_late_seconds", "gauge", "how late the row is that could first have gone out");
    buf_text(b, "herald_outbox_late_seconds ");
    put_seconds(b, most);
    buf_text(b, "\n");
    gauge(b, "outbox_pending", "rows of the outbox", backlog->pending);
    gauge(b, "retries", "messages that are tried again later", backlog->retries);
    gauge(b, "dead_letters", "messages that nobody tries again by itself", backlog->dead);
    gauge(b, "wal_bytes", "size of the store's WAL", backlog->wal_bytes);
}

static const char *const queue_names[METRICS_QUEUES] = {"queue_retries",
                                                        "queue_retries_late_seconds"};

void metrics_begin_queues(struct buf *b, enum metrics_queue which)
{
    begin(b, queue_names[which], "gauge",
          which == METRICS_RETRIES ? "messages of a queue that are tried again later"
                                   : "how late the first of them is");
}

/* A label's value, as the text format has it. */
static void put_label(struct buf *b, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\n')
            buf_text(b, "\\n");
        else if (text.data[i] == '"' || text.data[i] == '\\')
            buf_printf(b, "\\%c", text.data[i]);
        else
            buf_append(b, &text.data[i], 1);
    }
}

void metrics_of_queue(struct buf *b, enum metrics_queue which, const struct waiting_queue *q,
                      int64_t now_ms)
{
    int64_t rows = q->due + q->later + q->behind;

    buf_printf(b, "herald_%s{queue=\"", queue_names[which]);
    put_label(b, q->queue);
    buf_text(b, "\"} ");
    if (which == METRICS_RETRIES)
        buf_printf(b, "%lld", (long long)rows);
    else
        put_seconds(b, late_ms(q->since, now_ms));
    buf_text(b, "\n");
}
