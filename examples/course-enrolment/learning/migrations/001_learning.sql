-- Choices that users made, and the courses they may attend.
create table xc_choose_course (
  id           integer primary key,             -- snowflake
  course_id    integer not null,
  course_name  text not null,
  user_id      text not null,
  company_id   integer not null,
  order_type   text not null,                   -- 700001 free, 700002 to be paid
  create_date  text not null default (datetime('now')),
  course_price real not null,
  valid_days   integer not null default 365,
  status       text not null                    -- 701001 chosen, 701002 unpaid
);

create table xc_course_tables (
  id               integer primary key,
  choose_course_id integer not null references xc_choose_course (id),
  user_id          text not null,
  course_id        integer not null,
  company_id       integer not null,
  course_name      text not null,
  course_type      text not null,
  create_date      text not null default (datetime('now')),
  validtime_start  text not null,
  validtime_end    text not null,
  unique (user_id, course_id)
);
