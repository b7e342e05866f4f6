-- What the specs begin with: an order that is not paid yet.
insert into xc_orders (id, total_price, user_id, order_type, order_name, out_business_id)
values (1624350000000000002, 99.90, '王小明', '60201', '《Lua 程序设计》', '1624350000000000001');
insert into xc_pay_record (id, pay_no, order_id, total_price)
values (1624350000000000004, 1624350000000000003, 1624350000000000002, 99.90);
