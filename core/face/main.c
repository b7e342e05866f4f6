/* main - see cli.h for the command line and run.c for the router. */
#include "face/cli.h"
#include "store/sqlite/db.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

/* A number of the standard streams that is free would go to the next file that is opened, and
 * log lines would then be written into the loop's own pipe, or into the store. */
static int open_standard_streams(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && (errno != EBADF || open("/dev/null", O_RDWR) != fd))
            return -1;
    return 0;
}

int main(int argc, char **argv)
{
    if (open_standard_streams() != 0)
        return 1; /* there is nobody to tell */
    /* A peer that went away and a file over its limit are errors of the call that met
     * them, not reasons to be killed (docs/field-notes.md#limits-of-files). */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    db_library_start();
    return cli_main(argc, argv);
}
