/* main - see cli.h for the command line and run.c for the router. */
#include "face/cli.h"

#include <signal.h>

int main(int argc, char **argv)
{
    /* A peer that went away and a file over its limit are errors of the call that met
     * them, not reasons to be killed (PITFALLS 3.4). */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return cli_main(argc, argv);
}
