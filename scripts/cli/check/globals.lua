-- globals: what a rule file finds in its environment (core/script/sandbox.c), for luacheck.
--
-- `true` for a value, a list of fields for a table. tests/spec/check_spec.lua compares it with
-- what the sandbox really offers.

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

return {
  _G = true, _VERSION = true, assert = true, error = true, getmetatable = true, ipairs = true,
  load = true, next = true, pairs = true, pcall = true, print = true, rawequal = true, rawget = true,
  rawlen = true, rawset = true, require = true, select = true, setmetatable = true, tonumber = true,
  tostring = true, type = true, xpcall = true,
  string = words [[byte char find format gmatch gsub len lower match pack packsize rep reverse sub
                   unpack upper]],
  table = words "concat insert move pack remove sort unpack",
  math = words [[abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min
                 mininteger modf pi rad random randomseed sin sqrt tan tointeger type ult]],
  utf8 = words "char charpattern codepoint codes len offset",
  coroutine = words "close create isyieldable resume running status wrap yield",
  os = words "clock date difftime time",
}
