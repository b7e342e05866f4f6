-- Your tables. Each file is applied once, in order of name; to change a table, add a file.
create table account (
  user_id text    primary key,
  points  integer not null
);
