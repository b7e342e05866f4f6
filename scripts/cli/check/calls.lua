-- calls: mistakes in calls of tx that can be seen in the text.

local calls = {}

local WORDS <const> = {
  dot = "tx.%s(...) is called without its tx: write tx:%s(...)",
  field = "tx:emit knows no field '%s'",
}

local HEADER <const> = "%s is a header here: was the property meant? That stands "
  .. "beside headers: %s = ...; that the header is meant says [\"%s\"] = ..."

function calls.judge(constants, found)
  for _, constant in ipairs(constants) do
    local words = WORDS[constant.kind]
    local place = { file = constant.file, line = constant.line, column = constant.column }
    if words then found:error(place, words:format(constant.text, constant.text)) end
    if constant.kind == "header" then
      found:warn(place, HEADER:format(constant.text, constant.text, constant.text))
    end
  end
end

return calls
