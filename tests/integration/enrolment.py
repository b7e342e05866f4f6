"""enrolment: the example's two services, with orders to pay and effects to count.

Order i pays for choice CHOICE + i. Every run of the handler for order type 60201 leaves a row
in `effect`, before the example's own guard against a second one, so that what is done twice
shows even where the example forgives it.
"""

import os
import shutil
import sqlite3

import harness

CHOICE = 1750000000000000000  # snowflakes: beyond what a double holds
ORDER = 1760000000000000000
PAY_NO = 1770000000000000000
COURSE_NAME = "分布式系统：设计与实践 №%d"

GUARD = "  if choice.status == CHOSEN then return end\n"
EFFECT = '  tx:exec("insert into effect (choice) values (?)", msg.business_key1)\n'
EFFECT_TABLE = "create table effect (id integer primary key, choice integer not null);\n"

with open(os.path.join(harness.EXAMPLE, "orders", "paid.sql"), encoding="utf-8") as paid_file:
    PAID = paid_file.read()
STATEMENTS = [text for text in "".join(
    line for line in PAID.splitlines(True) if not line.startswith("--")).split(";") if text.strip()]


def read_example(part):
    """The files of one folder of the example, with the names of the test."""
    files = {}
    top = os.path.join(harness.EXAMPLE, part)
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            for fixed, own in (("paynotify_queue", "$queue"),
                               ("paynotify_exchange_fanout", "$exchange")):
                text = text.replace(fixed, own)
            files[os.path.relpath(path, top)] = text
    return files


def read_learning(counted):
    files = read_example("learning")
    if counted:
        rule = files["rules/enrol.lua"]
        if rule.count(GUARD) != 1:
            raise AssertionError("the example's handler has changed: where is its guard?")
        files["rules/enrol.lua"] = rule.replace(GUARD, EFFECT + GUARD)
        files["migrations/002_effect.sql"] = EFFECT_TABLE
    return files


def make_orders(case, **options):
    return case.router(read_example("orders"), name="orders", store="orders.db", **options)


def make_learning(case, counted=True, **options):
    return case.router(read_learning(counted), name="learning", store="learning.db", **options)


def make_combined(case):
    """The folder that includes both, as it is, on the embedded broker."""
    router = case.router({}, name="combined", broker=None)
    shutil.copytree(harness.EXAMPLE, router.folder, dirs_exist_ok=True)
    return router


def insert(store, table, rows):
    marks = ", ".join("?" * len(rows[0][1:]))
    connection = sqlite3.connect(store, timeout=10)
    with connection:
        connection.executemany(f"insert into {table} ({rows[0][0]}) values ({marks})",
                               [row[1:] for row in rows])
    connection.close()


def seed_orders(store, numbers):
    insert(store, "xc_orders", [
        ("id, total_price, user_id, order_type, order_name, out_business_id",
         ORDER + i, 99.90, f"user-{i}", "60201", COURSE_NAME % i, str(CHOICE + i))
        for i in numbers])
    insert(store, "xc_pay_record", [
        ("id, pay_no, order_id, total_price", PAY_NO + 1000000 + i, PAY_NO + i, ORDER + i, 99.90)
        for i in numbers])


def seed_choices(store, numbers):
    insert(store, "xc_choose_course", [
        ("id, course_id, course_name, user_id, company_id, order_type, course_price, status",
         CHOICE + i, i % 97, COURSE_NAME % i, f"user-{i}", 1232141425, "700002", 99.90, "701002")
        for i in numbers])


def pay_in_shell(router, number):
    """The payment notification, through the sqlite3 shell."""
    router.sql(f".parameter init\n.parameter set :pay_no {PAY_NO + number}\n{PAID}")


def pay(store, number):
    """The same on an open connection, with isolation_level None."""
    for statement in STATEMENTS:
        store.execute(statement, {"pay_no": PAY_NO + number} if ":pay_no" in statement else {})


def connect(path):
    return sqlite3.connect(path, timeout=30, isolation_level=None)


def chosen(router):
    return router.value("select count(*) from xc_choose_course where status = '701001'")


def check_enrolled(case, learning, numbers, counted=True):
    """Each of these orders and no other took effect exactly once."""
    wanted = sorted(CHOICE + i for i in numbers)
    case.assertEqual(sorted(learning.column(
        "select id from xc_choose_course where status = '701001'")), wanted)
    case.assertEqual(sorted(learning.column(
        "select choose_course_id from xc_course_tables")), wanted)
    if counted:
        case.assertEqual(sorted(learning.column("select choice from effect")), wanted)
    case.assertEqual(learning.dead(), [])
    case.assertEqual(learning.status()["retries"], 0)


def check_sent(case, orders):
    case.assertEqual(orders.value("select count(*) from herald_outbox"), 0)
    case.assertEqual(orders.dead(), [])
