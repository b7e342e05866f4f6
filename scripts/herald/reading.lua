-- reading: how a message is read, as herald.subscribe says it: its envelope, its identity, the paths
-- of its business keys. Checks what is declared, and what functions of the rules find in a message.
-- Trusted code, called by rules.lua with its checks.

local nearest, null, envelopes = ...

return function(checks)
  local fail, article = checks.fail, checks.article
  local check_keys, check_name = checks.check_keys, checks.check_name

  local ENVELOPE_KEYS = { type = true, id = true, order_type = true, business_key1 = true,
                          business_key2 = true, business_key3 = true, body = true,
                          content_type = true, timestamp = true, due_at = true, expires_at = true }
  local ENVELOPE = "the envelope of herald.subscribe"
  local BODY_MAX = 16 << 20 -- as of any message
  local function is_big(value) return getmetatable(value) == "herald.number" end -- it is its text
  -- nil, or a text: keys are text on the wire, and 16 means "16".
  local function envelope_text(origin, found, key)
    local value = found[key]
    if value == nil or value == null then return nil end
    if math.type(value) == "integer" or is_big(value) then return tostring(value) end
    if type(value) ~= "string" then
      fail(origin, "%s returned %s as %s, not a string or an integer", ENVELOPE, article(value), key)
    end
    if not utf8.len(value) then
      fail(origin, "%s returned a %s that is not UTF-8 text", ENVELOPE, key)
    end
    return value
  end

  local function envelope_order_type(origin, found)
    local order, key = envelope_text(origin, found, "order_type"),
      envelope_text(origin, found, "business_key2")
    if order and key and order ~= key then
      fail(origin, "%s returned an order_type and a business_key2 that differ: they are two names "
        .. "of one thing", ENVELOPE)
    end
    return order or key
  end

  local function envelope_name(origin, found, key)
    local name = envelope_text(origin, found, key)
    return name and check_name(origin, key .. " in what " .. ENVELOPE .. " returned", name)
  end

  local function envelope_body(origin, found)
    local body = found.body
    if type(body) == "string" and #body > BODY_MAX then
      fail(origin, "%s returned a body over the limit of %d bytes", ENVELOPE, BODY_MAX)
    end
    return body
  end

  local function envelope_time(origin, found, key)
    local value = found[key]
    if value == nil or value == null then return nil end
    if math.type(value) == "integer" then return value end
    fail(origin, "%s returned %s as %s, not an integer", ENVELOPE, article(value), key)
  end

  -- What an envelope found, checked: its texts and times, and its body.
  local function envelope_result(origin, found)
    if type(found) ~= "table" then
      fail(origin, "%s returned %s, not a table with type, id, order_type, business_key1 to 3, "
        .. "body", ENVELOPE, article(found))
    end
    check_keys(origin, "what " .. ENVELOPE .. " returned", found, ENVELOPE_KEYS)
    local texts = {
      type = envelope_name(origin, found, "type"),
      id = envelope_name(origin, found, "id"),
      business_key1 = envelope_text(origin, found, "business_key1"),
      business_key2 = envelope_order_type(origin, found),
      business_key3 = envelope_text(origin, found, "business_key3"),
      content_type = envelope_name(origin, found, "content_type"),
      timestamp = envelope_time(origin, found, "timestamp"),
      due_at = envelope_time(origin, found, "due_at"),
      expires_at = envelope_time(origin, found, "expires_at"),
    }
    if not texts.type then
      fail(origin, "%s returned no type: that of the message is in properties.type", ENVELOPE)
    end
    return texts, envelope_body(origin, found)
  end

  -- What C calls for a message, for a function of the rules: an error is one of theirs.
  local function reader(origin, envelope)
    return function(raw, properties) return envelope_result(origin, envelope(raw, properties)) end
  end

  -- The same for a named one, which gives nil and why it cannot read the message: what is wrong is
  -- in the message, and no later try will mend it.
  local function named_reader(origin, envelope)
    return function(raw, properties)
      local found, why = envelope(raw, properties)
      if found == nil then return nil, why end
      local ok, texts, body = pcall(envelope_result, origin, found)
      if not ok then return nil, tostring(texts):gsub("^.-: " .. ENVELOPE .. " returned", "it has") end
      return texts, body
    end
  end

  -- Where a business key is: "body.order.id", "headers.tenant"; nil: where the envelope has it.
  local function path(origin, spec, key)
    local text = spec[key]
    if text == nil then return nil end
    local what = key .. " in herald.subscribe"
    if type(text) ~= "string" then fail(origin, "%s is %s, not a path such as \"body.order.id\"", what,
      article(text)) end
    local place, rest = text:match("^(%a+)(%..+)$")
    if place ~= "body" and place ~= "headers" or rest:find("..", 1, true) or rest:sub(-1) == "." then
      fail(origin, "%s is \"%s\": write a path such as \"body.order.id\" or \"headers.tenant\"", what,
        text)
    end
    return text
  end

  local function order_type_path(origin, spec)
    if spec.order_type ~= nil and spec.business_key2 ~= nil then
      fail(origin, "herald.subscribe has order_type and business_key2: they are two names of one thing")
    end
    return path(origin, spec, spec.order_type ~= nil and "order_type" or "business_key2")
  end

  local envelope_names = {}
  for name in pairs(envelopes) do envelope_names[#envelope_names + 1] = name end
  table.sort(envelope_names)

  -- The kind for C, the function that is asked, what C calls for it, and the name of a named one.
  local function check_envelope(origin, envelope)
    if envelope == nil or envelope == "auto" or envelope == "raw" then return envelope or "auto" end
    if type(envelope) == "function" then return "function", envelope, reader(origin, envelope) end
    local named = envelopes[envelope]
    if named then return "function", named, named_reader(origin, named), envelope end
    local guess = type(envelope) == "string" and nearest(envelope, envelope_names)
    fail(origin, "envelope in herald.subscribe is %s%s: write \"auto\", \"raw\", a function, or one "
      .. "of \"%s\"", type(envelope) == "string" and ("%q"):format(envelope) or article(envelope),
      guess and (" (did you mean %q?)"):format(guess) or "", table.concat(envelope_names, '", "'))
  end

  -- What C calls for a message without an id: a text or nil.
  local function namer(origin, identity)
    return function(msg)
      local id = identity(msg)
      if id == nil or id == null then return nil end
      if math.type(id) == "integer" or is_big(id) then id = tostring(id) end
      return check_name(origin, "what the identity of herald.subscribe returned", id)
    end
  end

  return { envelope = check_envelope, identity = namer, path = path, order_type_path = order_type_path }
end
