/* Jitter that can be repeated. */
#include "base/chance.h"

#include "check.h"

TEST(chances_repeat_with_their_seed)
{
    struct chance a, b;

    chance_seed(&a, 7);
    chance_seed(&b, 7);
    for (int i = 0; i < 1000; i++) {
        double x = chance_draw(&a);

        assert_true(x >= 0 && x < 1);
        assert_true(x == chance_draw(&b));
    }
}
