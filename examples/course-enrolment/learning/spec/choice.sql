-- What the specs begin with: one course that was chosen and is not paid yet.
insert into xc_choose_course (id, course_id, course_name, user_id, company_id, order_type,
                              course_price, valid_days, status)
values (1624350000000000001, 2, '《Lua 程序设计》', '王小明', 1232141425, '700002', 99.90, 365, '701002');
