-- Orders and their payments. Codes: order type 60201 is a course that was bought.
create table xc_orders (
  id              integer primary key,          -- snowflake
  total_price     real not null,
  create_date     text not null default (datetime('now')),
  status          text not null default '600001', -- 600001 unpaid, 600002 paid
  user_id         text not null,
  order_type      text not null,                -- 60201: course
  order_name      text not null,
  out_business_id text not null                 -- the choice that is paid for
);

create table xc_pay_record (
  id              integer primary key,          -- snowflake
  pay_no          integer not null unique,      -- what the payment platform knows
  order_id        integer not null references xc_orders (id),
  total_price     real not null,
  status          text not null default '601001', -- 601001 unpaid, 601002 paid
  pay_success_time text
);
