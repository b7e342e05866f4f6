local herald = require "herald"

herald.subscribe {
  queue      = "paynotify_queue",
  from       = herald.fanout "paynotify_exchange_fanout",
  queue_type = "classic", -- as the existing services declare it
  retry      = { attempts = 3, delay = "1s", factor = 1 },
}

local CHOSEN = "701001"

-- Order type 60201: a course was paid for. Business key 1 is the choice.
herald.on("payresult_notify", "60201", function(msg, tx)
  local choice = tx:row("select * from xc_choose_course where id = ?", msg.business_key1)
  if not choice then herald.reject("no choice " .. tostring(msg.business_key1)) end
  if choice.status == CHOSEN then return end

  tx:exec("update xc_choose_course set status = ? where id = ?", CHOSEN, choice.id)
  tx:exec([[
    insert into xc_course_tables
      (choose_course_id, user_id, course_id, company_id, course_name, course_type,
       validtime_start, validtime_end)
    values (:choice, :user, :course, :company, :name, :type,
            datetime('now'), datetime('now', :days || ' days'))
    on conflict (user_id, course_id) do update set
      choose_course_id = excluded.choose_course_id,
      validtime_start  = excluded.validtime_start,
      validtime_end    = excluded.validtime_end]],
    { choice = choice.id, user = choice.user_id, course = choice.course_id,
      company = choice.company_id, name = choice.course_name, type = choice.order_type,
      days = choice.valid_days })
  herald.log.info("enrolled", { choice = choice.id, user = choice.user_id })
end)
