-- json: writes what the command line prints with --json.
--
-- Objects keep the order of their members: json.object { {"id", 1}, {"type", "x"} }.
-- A member whose value is nil is left out; json.null writes null.

local core = require "herald.core"

local json = { null = setmetatable({}, { __name = "json.null" }) }

local object = { __name = "json.object" }

function json.object(members)
  return setmetatable(members, object)
end

local function encode(value, out)
  local kind = type(value)
  if value == json.null then
    out[#out + 1] = "null"
  elseif kind == "string" then
    out[#out + 1] = core.json_string(value)
  elseif kind == "number" or kind == "boolean" then
    out[#out + 1] = tostring(value)
  elseif getmetatable(value) == object then
    local first = true
    out[#out + 1] = "{"
    for i = 1, #value do
      local name, member = value[i][1], value[i][2]
      if member ~= nil then
        out[#out + 1] = (first and "" or ",") .. core.json_string(name) .. ":"
        encode(member, out)
        first = false
      end
    end
    out[#out + 1] = "}"
  else
    out[#out + 1] = "["
    for i, element in ipairs(value) do
      if i > 1 then out[#out + 1] = "," end
      encode(element, out)
    end
    out[#out + 1] = "]"
  end
end

function json.encode(value)
  local out = {}
  encode(value, out)
  return table.concat(out)
end

return json
