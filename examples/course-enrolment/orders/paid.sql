-- What the payment notification does, in one transaction: pay record, order and outbox
-- row change together, or not at all. Told twice, it writes one outbox row.
-- Parameter :pay_no is the number that the payment platform reports.
begin immediate;

insert into herald_outbox (type, business_key1, business_key2)
select 'payresult_notify', o.out_business_id, o.order_type
  from xc_pay_record p join xc_orders o on o.id = p.order_id
 where p.pay_no = :pay_no and p.status <> '601002';

update xc_orders set status = '600002'
 where id = (select order_id from xc_pay_record where pay_no = :pay_no and status <> '601002');

update xc_pay_record set status = '601002', pay_success_time = datetime('now')
 where pay_no = :pay_no and status <> '601002';

commit;
