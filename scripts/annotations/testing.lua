---@meta herald.testing

-- herald.testing, for specs that `herald test` runs. Never run itself.
-- tests/spec/annotations_spec.lua compares the names with what there really is.

---@class herald.testing
---@field null herald.null NULL in SQL and null in JSON
local testing = {}

---@class herald.testing.start_options
---@field folder? string the router's; without it the one whose spec/ this is
---@field rules? string|string[] Lua of more rule files
---@field sql? string fixtures, run after the migrations
---@field sql_file? string the same in a file of the router folder
---@field now? string such as "2026-01-31T12:00:00Z"; without it 2026 begins
---@field loopback? boolean false: what is published is noted, confirmed, and reaches no queue

---Starts a router that lives as long as a variable holds it.
---@param options? herald.testing.start_options
---@return herald.testing.router
function testing.start(options) end

---@class herald.testing.message
---@field type? string
---@field id? string|integer|false false: none
---@field message_id? string|integer the same as id
---@field order_type? string|integer the same as business_key2
---@field business_key1? string|integer
---@field business_key2? string|integer
---@field business_key3? string|integer
---@field body? table|string without it the one that herald gives to an outbox row
---@field headers? table<string, any>|string
---@field properties? table<string, any>|string AMQP's own; each may stand beside it, too
---@field correlation_id? string
---@field reply_to? string
---@field expiration? string|integer
---@field priority? integer
---@field content_encoding? string
---@field app_id? string
---@field user_id? string
---@field cluster_id? string
---@field delivery_mode? integer
---@field content_type? string
---@field timestamp? integer seconds since 1970 UTC

---@class herald.testing.delivery: herald.testing.message
---@field queue? string not needed where there is only one
---@field exchange? string instead of a queue: to all that are bound to it
---@field routing_key? string
---@field times? integer the same message so many times, as a broker may

---@class herald.testing.router
local router = {}

---Ends it now.
function router:stop() end

---Runs statements as another program would. Values: a list for ?, or one table for :name.
---@param text string
---@param ... any
---@return table<string, any>[] rows of the last query
---@return string[] columns
function router:sql(text, ...) end

---The same from a file of the router folder.
---@param name string
---@param ... any
---@return table<string, any>[] rows
---@return string[] columns
function router:sql_file(name, ...) end

---The first row, or nil.
---@param text string
---@param ... any
---@return table<string, any>?
function router:row(text, ...) end

---The first column of the first row, or nil.
---@param text string
---@param ... any
---@return any
function router:value(text, ...) end

---Publishes a message as another service would.
---@param message herald.testing.delivery
---@return string? id
function router:deliver(message) end

---A message kept in a file of the router folder: keys of router:deliver, or what
---`herald dead show --json` prints, or RabbitMQ's `properties` and `payload`.
---@param name string
---@param changes? herald.testing.delivery keys that differ
---@return string? id
function router:deliver_file(name, changes) end

---Adds an outbox row, as the business does.
---@param message herald.testing.message
---@return integer id
function router:emit(message) end

---Has one of herald's own events happen.
---@param type string such as "herald.paused"
---@param body? table
---@return herald.testing.router
function router:raise(type, body) end

---Runs until nothing is left to do now.
---@return herald.testing.router
function router:run() end

---Lets time pass and runs what is due on the way. datetime('now') in SQL follows.
---@param time string|number "1m", or seconds
---@return herald.testing.router
function router:advance(time) end

---@return integer milliseconds since 1970 UTC
function router:now() end

---The process dies in the next turn that has deliveries, and starts again on its store.
---@param when "before commit"|"after commit"
---@return herald.testing.router
function router:crash(when) end

---The acks of the next turn that has deliveries are lost: they come twice.
---@return herald.testing.router
function router:duplicate_next() end

---The broker refuses the next publish of this type.
---@param type string
---@return herald.testing.router
function router:nack_next(type) end

---No queue takes the next publish of this type.
---@param type string
---@return herald.testing.router
function router:return_next(type) end

---The broker says nothing to the next publish of this type.
---@param type string
---@return herald.testing.router
function router:time_out_next(type) end

---@return table<string, any>[]
function router:outbox() end

---@return table<string, any>[]
function router:retries() end

---@return table<string, any>[]
function router:dead() end

---@return table<string, any>[] what the broker was given, each time it was
function router:published() end

---The lines of the log; or those with these fields, or with this text of a handler's.
---@param wanted? string|table<string, any>
---@return table<string, any>[]
function router:log(wanted) end

---What was counted since the router started, or last crashed.
---@return table<string, integer>
function router:counters() end

---In `error`, `reason`, `traceback` and `text` a part, or a Lua pattern, is enough.
---@class luassert
---@field rows fun(router: herald.testing.router, query: string, ...: any) values, then the rows: by name, or lists in the order of columns
---@field published fun(router: herald.testing.router, fields: table)
---@field outbox fun(router: herald.testing.router, fields: table)
---@field retry fun(router: herald.testing.router, fields: table)
---@field dead fun(router: herald.testing.router, fields: table)
---@field logged fun(router: herald.testing.router, wanted: string|table)

return testing
