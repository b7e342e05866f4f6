---@meta herald

-- herald, as rules see it: for editors with the Lua language server. Never run.
-- tests/spec/annotations_spec.lua compares the names with what herald really offers.

---What a rule file requires.
---@class herald
---What NULL and JSON's null are where a nil would not do: in a JSON body, in a list.
---@field null herald.null
---@field json herald.json
---@field log herald.log
local herald = {}

---@class herald.null

---"30s", "5m", "2h", "7d", "500ms", or a number of seconds.
---@alias herald.duration string|number

---Where a message goes, or where a queue takes from.
---@class herald.destination
---@field kind "fanout"|"direct"|"topic"|"headers"|"queue"
---@field exchange string
---@field routing_key string
---@field from fun(self: herald.destination, others: herald.destination|herald.destination[]): herald.destination an exchange that takes from others itself, in herald.subscribe

---@param exchange string
---@return herald.destination
function herald.fanout(exchange) end

---@param exchange string
---@param routing_key string|string[] a list in herald.subscribe
---@return herald.destination
function herald.direct(exchange, routing_key) end

---@param exchange string
---@param routing_key string|string[] in herald.subscribe `*` is one word, `#` any number, or a list
---@return herald.destination
function herald.topic(exchange, routing_key) end

---@param exchange string
---@param arguments? table<string, string|integer|boolean> of the binding, in herald.subscribe: `{ ["x-match"] = "all", tenant = "acme" }`
---@return herald.destination
function herald.headers(exchange, arguments) end

---@param name string
---@return herald.destination
function herald.queue(name) end

---When a failed message is tried again.
---@class herald.retry_policy
---@field attempts? integer tries in all, the first one included
---@field delay? herald.duration|herald.duration[] after the first try; a list for each of the first ones
---@field factor? number multiplies the last delay at each further try; 1 keeps it
---@field max_delay? herald.duration ceiling of a delay
---@field jitter? number 0 to 1: share of a delay that is drawn at random
---@field max_age? herald.duration since the first try; then it is a dead letter

---@class herald.route_spec
---@field type string the message type
---@field order_type? string|integer only for this order type (business key 2)
---@field to herald.destination|herald.destination[]|fun(msg: herald.msg): herald.destination|herald.destination[]
---@field unroutable? "retry"|"park"|"drop" what becomes of a message that no queue took
---@field order_by? "business_key1"|"business_key2"|"business_key3" one at a time for each key: none is overtaken
---@field format? "nestjs"|"celery"|"cloudevents"|"masstransit"|"cap"|"symfony"|"spring" what consumers of a framework need

---Where a message type goes.
---@param route herald.route_spec
function herald.route(route) end

---What was received, for `envelope = function(raw, properties)`.
---@class herald.properties
---@field message_id? string
---@field type? string
---@field content_type? string
---@field exchange string
---@field routing_key string
---@field queue string
---@field timestamp? integer seconds since 1970
---@field headers table

---What an envelope function makes of it.
---@class herald.envelope
---@field type string
---@field id? string|integer
---@field order_type? string|integer the same as business_key2
---@field business_key1? string|integer
---@field business_key2? string|integer
---@field business_key3? string|integer
---@field body? any what msg.body will be
---@field content_type? string of that body
---@field timestamp? integer seconds since 1970
---@field due_at? integer ms since 1970: it waits until then, untried
---@field expires_at? integer ms since 1970: from then on it is a dead letter

---@class herald.subscription_spec
---@field queue string
---@field from? herald.destination|herald.destination[] exchanges the queue is bound to; none: as it is
---@field retry? herald.retry_policy what is left out is as the settings say
---@field queue_type? "quorum"|"classic"
---@field arguments? table<string, string|integer|boolean> what the queue is made with: `{ ["x-max-length"] = 1000 }`
---@field priority? integer of its consumer, among others of the queue
---@field exclusive? boolean no other consumer beside it; of a classic queue
---@field prefetch? integer unacked deliveries at most, 1 to 65535
---@field unhandled? "ack"|"dead" what no handler wants
---@field before? fun(msg: herald.msg, tx: herald.tx) called before each handler, in its transaction
---@field after? fun(msg: herald.msg, tx: herald.tx) called after it, in its transaction
---@field envelope? "auto"|"raw"|"cap"|"celery"|"cloudevents"|"masstransit"|"moleculer"|"nestjs"|"node-ts"|"nservicebus"|"spring"|"symfony"|fun(raw: string, properties: herald.properties): herald.envelope
---@field order_type? string where it is: "body.kind", "headers.kind"
---@field business_key1? string where it is: "body.order.id", "headers.order"
---@field business_key2? string the same as order_type
---@field business_key3? string
---@field identity? "body.id"|fun(msg: herald.msg): string|integer|nil names a message that came without an id; nil: it has none
---@field order_by? "business_key1"|"business_key2"|"business_key3" while one waits, later ones of its key do, too
---@field on_dead? "release"|"hold" whether a dead letter lets the later ones of its key go on
---@field pause_after? integer|false so many messages that fail alike in a row pause it: 2 to 1000, 20; false: never

---A queue to listen to.
---@param subscription herald.subscription_spec
function herald.subscribe(subscription) end

---@class herald.handler_options
---@field retry? herald.retry_policy
---@field timeout? herald.duration a limit of its own, 10ms to 5m
---@field queue? string only for messages of this queue

---What to do for a message. The most specific handler is called: type and order type, then
---type and "*", then "*" and "*". Returning commits; error(...) undoes and tries again later.
---@param type string "*" for all, with order type "*"
---@param order_type string|integer "*" for all
---@param handler fun(msg: herald.msg, tx: herald.tx)
---@param options? herald.handler_options
function herald.on(type, order_type, handler, options) end

---Ends the handler, undoes what it did, and tries again later.
---@param delay? herald.duration nil: as the policy says
---@param why? string
function herald.retry(delay, why) end

---Ends the handler, undoes what it did, and keeps the message as a dead letter.
---@param why? string
function herald.reject(why) end

---@return integer milliseconds since 1970 UTC
function herald.now() end

---The time that a text says, in milliseconds since 1970: RFC 3339, with `Z` or an offset.
---@param text string such as "2026-01-31T12:00:00Z" or "2026-01-31T20:00:00.000+08:00"
---@return integer
function herald.time(text) end

---@param name string of an environment variable
---@return string?
function herald.env(name) end

---Bytes that SQL must take as a blob, also where they are UTF-8, and headers as a byte array.
---@param bytes string
---@return userdata
function herald.blob(bytes) end

---Integers are exact to 64 bits. A number that is too large for Lua is a userdata that encodes as it
---was: tostring gives its text, SQL and business keys take it as text.
---@class herald.json
---@field null herald.null
local json = {}

---@param value any
---@return string
function json.encode(value) end

---@param text string
---@return any
function json.decode(text) end

---Marks a table as an array, so that an empty one is written as [].
---@param list? table
---@return table
function json.array(list) end

---Log lines, written when the handler's transaction commits. Fields: strings, numbers, booleans.
---@class herald.log
local log = {}

---@param text any
---@param fields? table<string, any>
function log.debug(text, fields) end

---@param text any
---@param fields? table<string, any>
function log.info(text, fields) end

---@param text any
---@param fields? table<string, any>
function log.warn(text, fields) end

---@param text any
---@param fields? table<string, any>
function log.error(text, fields) end

---The message a handler is called for. Read-only, and gone when the handler returns.
---@class herald.trace
---@field trace_id string 32 hexadecimal digits
---@field span_id string of who sent it, 16 hexadecimal digits
---@field sampled boolean
---@field traceparent string
---@field tracestate? string

---@class herald.msg
---@field id? string message id
---@field type string
---@field order_type? string the same as business_key2
---@field business_key1? string
---@field business_key2? string
---@field business_key3? string
---@field body any decoded when it is JSON; with envelope = "raw" the bytes
---@field raw? string the body's bytes
---@field headers table<string, any>
---@field attempt integer 1 for the first try
---@field queue string
---@field exchange string
---@field routing_key string
---@field timestamp? integer seconds since 1970
---@field redelivered boolean
---@field trace? herald.trace the trace that it belongs to
---@field content_type? string
---@field content_encoding? string
---@field correlation_id? string
---@field reply_to? string
---@field priority? integer
---@field expiration? string milliseconds, as AMQP has them
---@field app_id? string
---@field user_id? string

---What SQL takes: nil and herald.null are NULL. A table of names fills :name, @name and $name.
---@alias herald.sql_value string|number|boolean|nil|herald.null|userdata

---The handler's transaction. Gone when the handler returns.
---@class herald.tx
local tx = {}

---@param sql string
---@param ... herald.sql_value|table<string, herald.sql_value>
---@return integer changed rows
function tx:exec(sql, ...) end

---Rows one by one: `for row in tx:query(...) do`
---@param sql string
---@param ... herald.sql_value|table<string, herald.sql_value>
---@return fun(): table<string, any>?
function tx:query(sql, ...) end

---The first row, or nil. NULL is an absent field.
---@param sql string
---@param ... herald.sql_value|table<string, herald.sql_value>
---@return table<string, any>?
function tx:row(sql, ...) end

---The first column of the first row, or nil.
---@param sql string
---@param ... herald.sql_value|table<string, herald.sql_value>
---@return any
function tx:value(sql, ...) end

---AMQP's own, as a message is sent with them.
---@class herald.emit_properties
---@field correlation_id? string|integer
---@field reply_to? string a queue
---@field priority? integer 0 to 255
---@field expiration? integer|string milliseconds that it may wait in a queue
---@field content_type? string
---@field content_encoding? string
---@field app_id? string
---@field delivery_mode? 1|2 1: transient

---@class herald.emit_spec
---@field type string
---@field order_type? string|integer the same as business_key2
---@field business_key1? string|integer
---@field business_key2? string|integer
---@field business_key3? string|integer
---@field body? table|string a table is written as JSON; none: an object of the keys
---@field headers? table<string, any>
---@field correlation_id? string|integer
---@field reply_to? string a queue
---@field priority? integer 0 to 255
---@field expiration? integer|string milliseconds that it may wait in a queue
---@field content_type? string
---@field content_encoding? string
---@field app_id? string
---@field delivery_mode? 1|2 1: transient
---@field properties? herald.emit_properties the same in a table
---@field message_id? string
---@field delay? string send it that much later, such as "15m"; not with `at`
---@field at? integer|string send it then: ms since 1970 or "2026-01-31T12:00:00Z"
---@field key? string|integer of 1 to 255 bytes; replaces older rows of that key

---@class herald.reply_options
---@field headers? table<string, any>
---@field reply_to? string a queue
---@field priority? integer 0 to 255
---@field expiration? integer|string milliseconds that it may wait in a queue
---@field content_type? string
---@field content_encoding? string
---@field app_id? string
---@field delivery_mode? 1|2 1: transient
---@field properties? herald.emit_properties the same in a table; the correlation id is that of the message
---@field format? "nestjs" what its clients take for an answer
---@field type? string the message type of the answer; "reply" unless it is said

---Answers the message, in the handler's transaction: to its reply_to, with its correlation id. An
---error where it has no reply_to.
---@param body any a string goes as it is; anything else is written as JSON
---@param options? herald.reply_options
---@return integer id of the row in the outbox
function tx:reply(body, options) end

---Takes back what was emitted with this key, in the handler's transaction.
---@param key string|integer
---@return boolean? in_time true: it had not been sent; false: it may have been; nil: there was none
function tx:cancel(key) end

---Adds a row to the outbox in the handler's transaction; herald.route says where it goes.
---@param emit herald.emit_spec
---@return integer id of the row
function tx:emit(emit) end

return herald
