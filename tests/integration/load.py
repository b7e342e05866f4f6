"""load: work from a thread, such as paying orders steadily, while a test makes things fail."""

import threading
import time

import enrolment


class Beside:
    """A thread of its own for work(), which ends when it is told to."""

    def __init__(self):
        self.problem = None
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()


class Load(Beside):
    """Pays orders `numbers` at about `rate` a second. `orders` is their router."""

    def __init__(self, orders, numbers, rate):
        super().__init__()
        self.path = orders.store
        self.numbers = numbers
        self.rate = rate
        self.paid = 0

    def work(self):
        store = enrolment.connect(self.path)
        began = time.monotonic()
        try:
            for number in self.numbers:
                if self.ending.is_set():
                    return
                enrolment.pay(store, number)
                self.paid += 1
                ahead = self.paid / self.rate - (time.monotonic() - began)
                if ahead > 0:
                    time.sleep(ahead)
        except Exception as problem:  # told by join, in the test's own thread
            self.problem = problem
        finally:
            store.close()

    def reached(self, count):
        if self.problem is not None:
            raise self.problem
        return self.paid >= count
